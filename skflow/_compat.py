"""Every name taken from scikit-learn that is private, or missing in a version we support."""

from sklearn.base import _fit_context
from sklearn.metrics._scorer import _MultimetricScorer, _PassthroughScorer
from sklearn.utils._param_validation import Interval, StrOptions
from sklearn.utils.stats import _weighted_percentile
from sklearn.utils.validation import _check_sample_weight

try:
    from sklearn.callback import CallbackSupportMixin
except ImportError:  # scikit-learn 1.8: no callbacks yet

    class CallbackSupportMixin:  # type: ignore[no-redef]
        """Stands in for scikit-learn 1.9's mixin: a fit without callbacks."""

        def _init_callback_context(self, **_):
            return _NoContext()

    class _NoContext:
        def subcontext(self, **_):
            return self

        def call_on_fit_task_begin(self, **_):
            return None

        def call_on_fit_task_end(self, **_):
            return False


def name_default_scores(estimator) -> None:
    """Let a `ScoringMonitor` that was given no scoring note ``score`` by that name.

    scikit-learn 1.9's own wants a dictionary of what then is one number, and fails.
    """
    for callback in getattr(estimator, "_skl_callbacks", ()):
        scorers = getattr(callback, "_estimator_scorers", {})
        if isinstance(scorers.get(estimator), _PassthroughScorer):
            scorers[estimator] = _MultimetricScorer(scorers={"score": scorers[estimator]})


def weighted_quantile(values, weight, level):
    """Averaged inverted CDF: the quantile under which weights and repetition agree."""
    return float(_weighted_percentile(values, weight, 100 * level, average=True))


__all__ = [
    "CallbackSupportMixin",
    "Interval",
    "StrOptions",
    "_check_sample_weight",
    "_fit_context",
    "name_default_scores",
    "weighted_quantile",
]
