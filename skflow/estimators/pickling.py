"""The state of a fitted flow, pickled as arrays and plain values."""

import torch

from skflow.data.table_schema import TableSchema
from skflow.estimators.failed_fit import FOR_TEARDOWN

FORMAT = 3  # of the state of a fitted flow; another one is refused when loaded

VOLATILE = ("_optimizer_state", "_skl_callbacks", "_parent_callback_ctx", *FOR_TEARDOWN)


class ArrayState:
    """Pickles ``flow_`` as numpy arrays; rebuilds it from the recipe, on the CPU, when loaded."""

    def __getstate__(self):
        """Arrays and plain values: weights as numpy, no device, callbacks or optimizer."""
        state = super().__getstate__().copy()
        for volatile in VOLATILE:
            state.pop(volatile, None)
        flow = state.pop("flow_", None)
        if flow is not None:
            from skflow import __version__

            state["_skflow_version"], state["_skflow_format"] = __version__, FORMAT
            state["_weights"] = {k: v.cpu().numpy() for k, v in flow.state_dict().items()}
        if state.get("_schema") is not None:
            state["_schema"] = state["_schema"].to_plain()
        return state

    def __setstate__(self, state):
        state = dict(state)
        weights = state.pop("_weights", None)
        version, form = state.pop("_skflow_version", None), state.pop("_skflow_format", 1)
        if weights is not None and form != FORMAT:
            from skflow import __version__

            raise ValueError(
                f"this {type(self).__name__} was saved by skflow {version} with state of format "
                f"{form}, and skflow {__version__} reads format {FORMAT}: fit it again, or load it "
                f"with skflow {version}."
            )
        if state.get("_schema") is not None:
            state["_schema"] = TableSchema.from_plain(state["_schema"])
        super().__setstate__(state)
        if weights is None:
            return
        flow = self._rebuilt_flow(self._recipe)
        flow.load_state_dict({k: torch.tensor(v) for k, v in weights.items()})
        self.flow_ = flow.eval().requires_grad_(False)
