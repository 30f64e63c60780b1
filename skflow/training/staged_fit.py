"""A fit in parts that a search shares among candidates, or goes on with later."""

from dataclasses import dataclass, field

from skflow.data.fit_data import FitData
from skflow.flow import Flow


@dataclass(frozen=True)
class Prepared:
    """All of a fit before its training: the same for estimators that only train differently.

    Attributes
    ----------
    data : FitData
    candidates : list of (Flow, dict)
        Flows as training finds them, and their recipes.
    seed : int
        Of the training.
    found : dict
        What reading the rows made of the estimator's attributes.
    """

    data: FitData
    candidates: list[tuple[Flow, dict]]
    seed: int
    found: dict


@dataclass
class Stage:
    """Asks a fit to be done in part; set as ``_stage`` of an estimator, whose next `fit` takes it.

    Attributes
    ----------
    prepared : Prepared, optional
        To begin from; else the fit leaves its own here.
    pause_after : int, optional
        The epoch to pause after, and publish what stands; None to go on to the end. With 0 the fit
        only prepares.
    paused : list of dict
        The state of training of each candidate of `prepared`, for the next stage to go on from.
    """

    prepared: Prepared | None = None
    pause_after: int | None = None
    paused: list[dict | None] = field(default_factory=list)
