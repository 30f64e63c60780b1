"""The estimator as it would be if the fit had ended with an epoch, for callbacks that ask."""

from skflow.training.fit import Fitted


class Snapshots:
    """Makes fitted attributes on a stand-in, so that nothing of them stays on the estimator.

    What costs many passes (a bound's gap, the order of latents) is measured for the first one only.
    """

    def __init__(self, estimator, seed: int):
        self._estimator, self._seed = estimator, seed
        self._model = object.__new__(type(estimator))
        vars(self._model).update(vars(estimator))

    def attributes(self, fitted: Fitted) -> dict:
        """All that a copy of the estimator needs to answer with these weights."""
        model, own = self._model, vars(self._estimator)
        model._publish(fitted, self._seed, measured=not hasattr(model, "bound_gap_"))
        return {
            name: value
            for name, value in vars(model).items()
            if name not in own or own[name] is not value
        }
