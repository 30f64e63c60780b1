"""Every private name taken from scikit-learn's model selection."""

from sklearn.model_selection._validation import (
    _fit_and_score,
    _insert_error_scores,
    _warn_or_raise_about_fit_failures,
)
from sklearn.utils.metaestimators import _safe_split
from sklearn.utils.validation import _check_method_params

__all__ = [
    "_check_method_params",
    "_fit_and_score",
    "_insert_error_scores",
    "_safe_split",
    "_warn_or_raise_about_fit_failures",
]
