"""The state of a fitted flow as arrays and plain values, for pickle, joblib and skops alike."""

from dataclasses import asdict

import torch

from skflow.estimators.frames import FrameTemplate
from skflow.estimators.starts import Start, StartRecipe


class ArrayStateMixin:
    """Pickles ``flow_`` as numpy arrays; rebuilds it from the recipe, on the CPU, when loaded."""

    def __getstate__(self):
        """Arrays and plain values: weights as numpy, no device, callbacks or optimizer."""
        state = super().__getstate__().copy()
        for volatile in ("_optimizer_state", "_skl_callbacks"):
            state.pop(volatile, None)
        flow = state.pop("flow_", None)
        if flow is not None:
            from skflow import __version__

            state["_skflow_version"] = __version__
            state["_weights"] = {k: v.cpu().numpy() for k, v in flow.state_dict().items()}
        frame = state.get("_frame")
        if frame is not None:
            state["_frame"] = asdict(frame)
        return state

    def __setstate__(self, state):
        state = dict(state)
        weights = state.pop("_weights", None)
        state.pop("_skflow_version", None)
        if state.get("_frame") is not None:
            state["_frame"] = FrameTemplate(**state["_frame"])
        super().__setstate__(state)
        if weights is None:
            return
        recipe = StartRecipe(**self._recipe["start"])
        start = Start(recipe, recipe.make_fixed(), recipe.make_base())
        flow = self._assemble(start, self._recipe["plan"], torch.Generator())
        flow.load_state_dict({k: torch.tensor(v) for k, v in weights.items()})
        self.flow_ = flow.eval().requires_grad_(False)
