"""A fit that goes on: parameters that the model was built by must still be the same."""

from skflow.data.plain import plain


def building_parameters(estimator) -> dict:
    """Parameters that shape a model, in plain values; all others only say how to train it."""
    parameters = estimator.get_params(deep=False)
    return {
        name: plain(value)
        for name, value in parameters.items()
        if name not in estimator._may_change
    }


def refuse_changes(estimator) -> None:
    """Raise where a fitted flow that is to be trained on was built by other parameters."""
    built_by = estimator._built_by
    changed = [
        f"{name} was {built_by[name]!r} and is {value!r} now"
        for name, value in building_parameters(estimator).items()
        if value != built_by[name]
    ]
    if changed:
        raise ValueError(
            f"this {type(estimator).__name__} was built by other parameters: "
            f"{'; '.join(changed)}. To go on from its weights set the old value again; for the new "
            "one fit anew, with warm_start=False."
        )
