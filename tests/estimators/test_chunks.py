"""Scoring within a working memory."""

import numpy as np
import sklearn

from tests.estimators.configurations import FULL_BATCH, quick_flow


def test_a_small_working_memory_changes_no_score():
    X = np.random.default_rng(0).normal(size=(300, 5))
    flow = quick_flow(**FULL_BATCH).fit(X)
    with sklearn.config_context(working_memory=0.05):
        assert len(list(flow._chunks(300))) > 20
        scores, sample = flow.score_samples(X), flow.sample(300, random_state=0)
    np.testing.assert_allclose(scores, flow.score_samples(X), atol=1e-10)
    assert sample.shape == (300, 5)
