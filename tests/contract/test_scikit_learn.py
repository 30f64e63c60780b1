"""scikit-learn's own checks, in both roles."""

import pytest
from sklearn.utils.estimator_checks import parametrize_with_checks

from skflow import (
    FlowifiedMLP,
    FunnelFlow,
    MultiscaleFlow,
    NormalizingFlow,
    SelfNormalizingFlow,
    SurVAEFlow,
)
from tests.estimators.configurations import FULL_BATCH, PLAIN, QUICK, TRAINED_FULLY

pytestmark = [
    # The checks fit tables of integers, constants and three epochs on purpose.
    pytest.mark.filterwarnings("ignore::sklearn.exceptions.DataConversionWarning"),
    pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning"),
    pytest.mark.filterwarnings("ignore::sklearn.exceptions.SkipTestWarning"),
]


@parametrize_with_checks(
    [
        NormalizingFlow(**FULL_BATCH),
        NormalizingFlow(**FULL_BATCH, contamination=0.1),
        NormalizingFlow("affine_autoregressive", **FULL_BATCH),
        SelfNormalizingFlow(**TRAINED_FULLY),
        SelfNormalizingFlow(**TRAINED_FULLY, logdet_gradient="self", contamination=0.1),
        SelfNormalizingFlow(**TRAINED_FULLY, logdet_gradient="lu"),
        FunnelFlow(**FULL_BATCH),
        FunnelFlow(**FULL_BATCH, funnel="dense", decoder="full", contamination=0.1),
        FlowifiedMLP(**PLAIN),
        FlowifiedMLP(**PLAIN, decoder="student_t", contamination=0.1),
        MultiscaleFlow(**FULL_BATCH),
        MultiscaleFlow(**FULL_BATCH, factor_out="likelihood", n_scales=2, contamination=0.1),
        MultiscaleFlow(**FULL_BATCH, factor_out="variance", architecture="coupling"),
    ]
)
def test_full_batch_passes_every_check(estimator, check):
    check(estimator)


@parametrize_with_checks(
    [
        NormalizingFlow(),
        NormalizingFlow(**{**QUICK, "random_state": None}, contamination=0.1),
        SelfNormalizingFlow(),
        FunnelFlow(),
        FlowifiedMLP(),
        MultiscaleFlow(),
        MultiscaleFlow(1, **{**QUICK, "random_state": None}, prior="vae", contamination=0.1),
        MultiscaleFlow(**{**QUICK, "random_state": None}, prior="lowrank"),
        FlowifiedMLP((12, 4), augment="gaussian", n_importance_samples=8, max_iter=3),
        SurVAEFlow(),
        SurVAEFlow(hidden_layer_sizes=(8,), max_iter=3, contamination=0.1),
    ]
)
def test_default_passes_every_check(estimator, check):
    check(estimator)
