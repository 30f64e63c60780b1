"""What MultiscaleFlow adds to the contract: rankings, cuts, priors, truncation, images."""

import pickle

import numpy as np
import pandas as pd
import pytest
import torch
from scipy.stats import multivariate_normal
from sklearn.datasets import load_digits
from sklearn.decomposition import PCA, FactorAnalysis
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from skflow import MultiscaleFlow, NormalizingFlow
from skflow.architectures.multiscale import (
    ranked_squeeze,
    scale_shapes,
    squeeze_orders,
)
from skflow.data.rows import Rows
from skflow.transforms import Factors, FixedRotation, Permutation
from skflow.transforms.noise import fresh_noise
from tests.estimators.configurations import QUICK

pytestmark = [
    pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning"),
    pytest.mark.filterwarnings("ignore:columns:sklearn.exceptions.DataConversionWarning"),
]
SMALL = {**QUICK, "n_layers": 1, "max_mixture_components": 4}
AT_THE_START = {"learning_rate_init": 1e-12, "max_iter": 1}
RANKINGS = ["entropy", "variance", "likelihood", "random", [4, 2]]
PRIORS = ["normal", "lowrank", "vae", "flow"]


def quick(**changes):
    return MultiscaleFlow(**{**SMALL, **changes})


@pytest.fixture(scope="module")
def table():
    """Three factors in seven columns, in two clusters."""
    rng = np.random.default_rng(0)
    factors = rng.normal(size=(600, 3)) + 4 * rng.integers(0, 2, (600, 1))
    return factors @ rng.normal(size=(3, 7)) + 0.3 * rng.normal(size=(600, 7))


@pytest.fixture(scope="module")
def digits():
    return np.random.default_rng(0).permutation(load_digits().data)


@pytest.fixture(scope="module")
def fitted(table):
    return quick(max_iter=8).fit(table)


# -- promises ----------------------------------------------------------------------------------


@pytest.mark.parametrize("n_scales", [1, 2, 3])
@pytest.mark.parametrize("architecture", ["autoregressive", "coupling"])
@pytest.mark.parametrize("ranking", RANKINGS, ids=str)
def test_every_ranking_keeps_its_promises(ranking, architecture, n_scales, table):
    flow = quick(factor_out=ranking, architecture=architecture, n_scales=n_scales).fit(table)
    n_latents = [7, 4, 2][n_scales - 1]
    assert flow.exact_
    assert flow.n_components_ == n_latents
    Z = flow.transform(table)
    assert Z.shape == (600, n_latents)
    assert (np.diff(flow.explained_entropy_) <= 0).all()
    assert flow.explained_entropy_ratio_.sum() == pytest.approx(1)
    drawn = flow.inverse_transform(Z[:, :2], mode="sample", random_state=0)
    np.testing.assert_allclose(flow.transform(drawn)[:, :2], Z[:, :2], atol=1e-5)
    if n_scales == 1:
        np.testing.assert_allclose(flow.inverse_transform(Z), table, atol=1e-5)
    loaded = pickle.loads(pickle.dumps(flow))
    assert np.array_equal(loaded.score_samples(table), flow.score_samples(table))
    assert np.array_equal(loaded.transform(table), Z)
    assert np.array_equal(loaded.sample(5, random_state=0), flow.sample(5, random_state=0))


@pytest.mark.parametrize("prior", PRIORS)
def test_every_prior_keeps_its_promises(prior, table):
    flow = quick(prior=prior, n_components=2).fit(table)
    assert flow.exact_ == (prior != "vae")
    Z = flow.transform(table)
    assert Z.shape == (600, 2)
    back = flow.inverse_transform(Z)
    explained = 1 - ((back - table) ** 2).sum() / ((table - table.mean(0)) ** 2).sum()
    assert explained > 0.6
    loaded = pickle.loads(pickle.dumps(flow))
    assert np.array_equal(loaded.score_samples(table), flow.score_samples(table))
    assert np.array_equal(loaded.inverse_transform(Z), back)
    alone = np.concatenate([flow.score_samples(row[None]) for row in table[:10]])
    np.testing.assert_allclose(alone, flow.score_samples(table)[:10], atol=1e-9)


@pytest.mark.parametrize("decoder", ["standard", "gaussian", "lowrank", "full", "spline"])
def test_decoders(decoder, table):
    flow = quick(n_scales=2, decoder=decoder).fit(table)
    assert np.isfinite(flow.score(table))
    assert flow.inverse_transform(flow.transform(table)).shape == table.shape


@pytest.mark.parametrize("base", ["normal", "mixture", "student_t"])
@pytest.mark.parametrize("ranking", ["entropy", "random"])
def test_it_begins_where_the_square_flow_begins(base, ranking, table):
    """Directions, orders and cuts of the start change nothing."""
    settings = {"base": base, **AT_THE_START}
    settings["start"] = "whiten" if ranking == "entropy" else "standard"
    cut = quick(factor_out=ranking, n_scales=3, **settings).fit(table)
    square = NormalizingFlow(**{**SMALL, **settings}).fit(table)
    assert cut.start_score_ == pytest.approx(square.start_score_, abs=2e-4)


def test_scores_integrate_to_one_and_samples_follow_them():
    rng = np.random.default_rng(0)
    t = rng.uniform(-2, 2, 500)
    X = np.stack([t, t**2 + 0.2 * rng.normal(size=500)], 1)
    flow = quick(n_scales=2, max_iter=20, factor_out="likelihood").fit(X)
    a, b = np.linspace(-6, 6, 700), np.linspace(-5, 9, 700)
    grid = np.stack(np.meshgrid(a, b), -1).reshape(-1, 2)
    mass = np.exp(flow.score_samples(grid)) * (a[1] - a[0]) * (b[1] - b[0])
    assert abs(mass.sum() - 1) < 5e-3
    sample = flow.sample(40_000, random_state=0)
    np.testing.assert_allclose(sample.mean(0), mass @ grid, atol=0.05)
    np.testing.assert_allclose(
        np.cov(sample.T), np.cov(grid.T, aweights=mass.clip(0)), rtol=0.1, atol=0.05
    )


def test_grid_search_in_a_pipeline(table):
    search = GridSearchCV(
        make_pipeline(StandardScaler(), quick()),
        {"multiscaleflow__n_scales": [1, 2], "multiscaleflow__prior": ["normal", "lowrank"]},
        cv=2,
    ).fit(table)
    assert np.isfinite(search.best_score_)


# -- rankings ----------------------------------------------------------------------------------


def test_for_a_gaussian_the_latents_are_the_principal_components():
    rng = np.random.default_rng(1)
    deviations = np.array([5.0, 3.0, 1.5, 0.7, 0.2])
    rotation = np.linalg.qr(rng.normal(size=(5, 5)))[0]
    X = rng.normal(size=(4_000, 5)) * deviations @ rotation.T + 10
    flow = quick(start="whiten", base="normal", **AT_THE_START).fit(X)
    pca = PCA().fit(X)
    np.testing.assert_allclose(
        flow.explained_entropy_ratio_, pca.explained_variance_ratio_, rtol=0.05, atol=1e-4
    )
    correlation = np.corrcoef(flow.transform(X).T, pca.transform(X).T)[:5, 5:]
    np.testing.assert_allclose(np.abs(correlation.diagonal()), 1, atol=1e-3)
    expected = 0.5 * np.log(2 * np.pi * np.e * pca.explained_variance_)
    np.testing.assert_allclose(flow.explained_entropy_, expected, atol=0.05)
    # Orthogonal directions: the entropies add up to the density's.
    assert flow.explained_entropy_.sum() == pytest.approx(-flow.score(X), abs=0.05)
    for k in (1, 2, 4):
        ours = flow.inverse_transform(flow.transform(X)[:, :k])
        theirs = PCA(k).fit(X)
        error = ((theirs.inverse_transform(theirs.transform(X)) - X) ** 2).mean()
        assert ((ours - X) ** 2).mean() < 1.05 * error


def curved_and_plain(n, rng):
    """Columns 0 to 3 wave over one hidden coordinate, 4 to 11 are independent normals."""
    t = rng.normal(size=(n, 1))
    waves = np.sin(t * [1.0, 2.0, 1.5, 2.5] + [0.0, 1.0, 2.0, 3.0]) + 0.1 * rng.normal(size=(n, 4))
    return np.concatenate([waves, rng.normal(size=(n, 8))], 1)


def test_the_likelihood_ranking_puts_dependent_columns_first():
    X = curved_and_plain(3_000, np.random.default_rng(0))
    flow = MultiscaleFlow(
        factor_out="likelihood", n_scales=2, architecture="coupling", start="standard",
        base="normal", n_layers=3, hidden_layer_sizes=(32, 32), max_iter=10,
        pretrain_fraction=1.0, random_state=0,
    ).fit(X)  # fmt: skip
    assert len(set(flow.ranking_[:6]) & {0, 1, 2, 3}) >= 3


def test_contributions_of_columns_add_up_and_tell_dependence(table):
    rng = np.random.default_rng(0)
    X = np.column_stack([table, rng.normal(size=len(table))])
    flow = quick(max_iter=5).fit(X)
    normals = -0.5 * np.log(2 * np.pi * np.e * X.var(0)).sum()
    total = flow.dimension_contributions_.sum()
    assert total == pytest.approx(flow.score(X) - normals, abs=1e-6)
    assert flow.dimension_contributions_.argmin() == 7


def test_contributions_with_weights_are_those_of_repetitions(table):
    weight = np.random.default_rng(0).integers(0, 3, len(table))
    settings = {"early_stopping": False, "noise": 0.0, "batch_size": 10_000, "base": "normal"}
    settings |= {"start": "whiten", **AT_THE_START}
    weighted = quick(**settings).fit(table, sample_weight=weight)
    repeated = quick(**settings).fit(np.repeat(table, weight, axis=0))
    np.testing.assert_allclose(
        weighted.dimension_contributions_, repeated.dimension_contributions_, atol=1e-6
    )


def test_a_given_ranking_is_kept(table):
    flow = quick(factor_out=[4, 2], n_scales=2).fit(table)
    assert flow.ranking_.tolist() == [4, 2, 0, 1, 3, 5, 6]
    last = flow.flow_.fixed.steps[-1]
    assert isinstance(last, Permutation)
    flow.set_params(factor_out="entropy", prior="vae")  # a fitted flow does not go by these
    assert flow.truncate(2).transform(table).shape == (600, 2)
    loaded = pickle.loads(pickle.dumps(flow))
    assert loaded.flow_.fixed.steps[-1].order.tolist() == last.order.tolist()
    turned = pickle.loads(pickle.dumps(quick().fit(table)))
    assert isinstance(turned.flow_.fixed.steps[-1], FixedRotation)
    assert turned.ranking_ is None


@pytest.mark.parametrize("wrong", [[0, 0], [7], [-1], [0.5, 1], ["a"], [[0, 1]], [True]])
def test_a_wrong_ranking_is_refused(wrong, table):
    with pytest.raises(ValueError, match="factor_out"):
        quick(factor_out=wrong).fit(table)


def test_columns_are_not_ranked_behind_whitening(table):
    with pytest.raises(ValueError, match="start='whiten' mixes the columns"):
        quick(factor_out="likelihood", start="whiten").fit(table)
    assert not quick(factor_out=[0], start="marginal").fit(table).start_["whiten"]


def test_pretraining_takes_its_share_of_the_time(table):
    slow = {"factor_out": "likelihood", "pretrain_fraction": 1.0, "max_time": 60.0}
    assert quick(**slow, early_stopping=False).fit(table).n_iter_ == 3


# -- components --------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("n_components", "n_scales", "expected"), [(3, 1, 3), (7, 3, 7), (6, 3, 6), (None, 2, 4)]
)
def test_widths(n_components, n_scales, expected, table):
    flow = quick(n_components=n_components, n_scales=n_scales).fit(table)
    assert flow.n_components_ == expected
    assert len(flow.get_feature_names_out()) == expected


def test_a_share_explains_that_much(table):
    flow = quick(n_components=0.9).fit(table)
    explained = flow.explained_entropy_ratio_.cumsum()
    assert explained[flow.n_components_ - 1] >= 0.9
    assert flow.n_components_ == 1 or explained[flow.n_components_ - 2] < 0.9
    assert quick(n_components=1.0).fit(table).n_components_ == 7


def test_one_fit_serves_every_number_of_components(fitted, table):
    Z = fitted.transform(table)
    errors = []
    for k in range(1, 8):
        shorter = fitted.truncate(k)
        assert np.array_equal(shorter.transform(table), Z[:, :k])
        assert np.array_equal(shorter.score_samples(table), fitted.score_samples(table))
        errors.append(((shorter.inverse_transform(Z[:, :k]) - table) ** 2).mean())
    assert (np.diff(errors) < 0.01 * np.var(table)).all()
    assert errors[-1] < 1e-8
    assert fitted.n_components_ == 7
    with pytest.raises(ValueError, match="n_components"):
        fitted.truncate(0)


def test_the_mean_reconstruction_is_the_mean_of_drawn_ones(fitted, table):
    Z = fitted.transform(table[:50])[:, :2]
    mean = fitted.inverse_transform(Z)
    drawn = [fitted.inverse_transform(Z, mode="sample", random_state=i) for i in range(200)]
    # One mean is over 64 draws, the other over 200.
    error = np.std(drawn, axis=0, ddof=1) * np.sqrt(1 / 64 + 1 / 200)
    scaled = (np.mean(drawn, axis=0) - mean) / error
    assert np.abs(scaled).max() < 5
    assert 0.7 < scaled.std() < 1.3


@pytest.mark.parametrize("width", [0, 8])
def test_a_wrong_latent_width_is_refused(width, fitted):
    with pytest.raises(ValueError, match=r"latent|minimum of 1"):
        fitted.inverse_transform(np.zeros((3, width)))
    with pytest.raises(ValueError, match="mode"):
        fitted.inverse_transform(np.zeros((3, 2)), mode="median")


def test_too_many_components_are_refused(fitted, table):
    with pytest.raises(ValueError, match="more than the 7 latents"):
        fitted.truncate(8)
    with pytest.raises(ValueError, match="more than the 7 columns"):
        quick(n_components=8).fit(table)


def test_frames_go_in_and_out(table):
    frame = pd.DataFrame(table, columns=list("abcdefg"))
    flow = quick(n_components=2).fit(frame).set_output(transform="pandas")
    assert list(flow.transform(frame).columns) == list(flow.get_feature_names_out())
    assert flow.fit_transform(frame).shape == (600, 2)


# -- priors ------------------------------------------------------------------------------------


def test_the_low_rank_prior_is_the_gaussian_it_says(table):
    flow = quick(prior="lowrank", n_components=3, max_iter=5).fit(table)
    fixed, learned = flow.flow_.fixed, flow.flow_.learned
    assert isinstance(learned.steps[-1], Factors)
    with torch.no_grad():
        h, volume = fixed(torch.tensor(table))
        for step in learned.steps[:-1]:
            h, more = step(h)
            volume = volume + more
    decoder = learned.steps[-1].decoder
    covariance = decoder.loading @ decoder.loading.T + decoder.scale().square().diag()
    expected = multivariate_normal(decoder.offset.numpy(), covariance.numpy()).logpdf(h.numpy())
    latent = flow.score_samples(table) - volume.numpy()
    np.testing.assert_allclose(latent, expected, rtol=0, atol=1e-8)


def test_the_low_rank_prior_begins_at_factor_analysis(table):
    X = (table - table.mean(0)) / table.std(0)
    settings = {"start": "standard", "early_stopping": False, "noise": 0.0, **AT_THE_START}
    flow = quick(prior="lowrank", n_components=3, **settings).fit(X)
    theirs = FactorAnalysis(3).fit(X)
    np.testing.assert_allclose(flow.score_samples(X), theirs.score_samples(X), atol=1e-3)
    correlation = np.corrcoef(flow.transform(X).T, theirs.transform(X).T)[:3, 3:]
    np.testing.assert_allclose(np.abs(correlation).max(1), 1, atol=1e-3)


def test_the_variational_prior_is_a_bound_on_what_it_begins_as(table):
    settings = {"n_components": 3, "start": "standard", **AT_THE_START}
    exact = quick(prior="lowrank", **settings).fit(table)
    bound = quick(prior="vae", **settings).fit(table)
    assert bound.score(table) == pytest.approx(exact.score(table), abs=1e-3)
    with torch.no_grad():  # spoil the posterior alone: the density stays what it was
        for parameter in bound.flow_.learned.steps[-1].encoder.parameters():
            noise = torch.randn(parameter.shape, generator=torch.Generator().manual_seed(0))
            parameter += 0.1 * noise.double()
        noise, x = fresh_noise(torch.Generator().manual_seed(1)), torch.tensor(table)
        elbo = np.mean([bound.flow_(x, noise=noise).mean() for _ in range(300)])
    gap = bound._measured_gap(Rows.of(table))
    assert gap > 0.2
    assert elbo < exact.score(table) < elbo + 1.1 * gap + 0.05
    assert elbo + gap < exact.score(table) + 0.05


@pytest.mark.parametrize(
    ("n_components", "n_scales", "expected"),
    [(None, 1, 4), (0.5, 3, 4), (0.29, 3, 3), (None, 2, 2)],
)
def test_widths_of_a_prior(n_components, n_scales, expected, table):
    flow = quick(prior="lowrank", n_components=n_components, n_scales=n_scales).fit(table)
    assert flow.n_components_ == expected


def test_factors_that_are_not_there():
    rng = np.random.default_rng(0)
    few = quick(prior="lowrank", n_components=10).fit(rng.normal(size=(6, 20)))
    assert few.transform(rng.normal(size=(3, 20))).shape == (3, 10)
    one = quick(prior="lowrank").fit(rng.normal(size=(100, 1)))
    assert np.isfinite(one.explained_entropy_).all()
    assert np.isfinite(one.explained_entropy_ratio_).all()
    with pytest.raises(ValueError, match="no place behind"):
        quick(prior="lowrank", base="mixture").fit(rng.normal(size=(100, 2)))


# -- images ------------------------------------------------------------------------------------


def test_every_block_is_ranked_by_itself():
    contribution = torch.rand(2 * 6 * 4, generator=torch.Generator().manual_seed(0))
    order = ranked_squeeze((2, 6, 4), contribution, alike=False)
    assert sorted(order.tolist()) == list(range(48))
    squeezed = contribution[order].view(4, 2, 3, 2)
    assert (squeezed.diff(dim=0) <= 0).all()
    for channel in range(2):  # each position holds the pixels of its own block
        for row in range(3):
            for column in range(2):
                places = order.view(4, 2, 3, 2)[:, channel, row, column] - 24 * channel
                assert set((places // 4 // 2).tolist()) == {row}
                assert set((places % 4 // 2).tolist()) == {column}


def test_blocks_ranked_alike_go_by_the_means_of_their_places():
    place = torch.tensor([[4.0, 1.0], [2.0, 3.0]]).repeat(3, 2)
    noisy = place + 0.5 * torch.rand(6, 4, generator=torch.Generator().manual_seed(0))
    noisy[0, 0] = 0.0  # one block against the rule
    order = ranked_squeeze((1, 6, 4), noisy.reshape(-1), alike=True).view(4, 6)
    assert torch.equal(place.reshape(-1)[order], torch.tensor([4.0, 3, 2, 1])[:, None].repeat(1, 6))


def test_scales_of_an_image():
    shapes = scale_shapes((1, 28, 28), 4)
    assert shapes == [(4, 14, 14), (8, 7, 7), (4, 7, 7), (2, 7, 7)]
    orders = squeeze_orders((1, 28, 28), shapes, torch.zeros(784), alike=True)
    assert [None if order is None else len(order) for order in orders] == [784, 392, None, None]


@pytest.mark.parametrize("ranking", ["auto", "random", "variance", [9, 10, 11]], ids=str)
def test_images(ranking, digits):
    flow = MultiscaleFlow(
        image_shape=(1, 8, 8), factor_out=ranking, n_layers=1, n_hidden_channels=4, max_iter=2,
        random_state=0,
    ).fit(digits[:400])  # fmt: skip
    assert flow.n_components_ == 32
    Z = flow.transform(digits[:20])
    drawn = flow.inverse_transform(Z, mode="sample", random_state=0)
    assert drawn.min() >= -0.5
    assert drawn.max() <= 16.5
    loaded = pickle.loads(pickle.dumps(flow))
    assert np.array_equal(loaded.score_samples(digits[:20]), flow.score_samples(digits[:20]))
    assert np.array_equal(loaded.transform(digits[:20]), Z)
    assert len(flow.dimension_contributions_) == 64


@pytest.mark.parametrize("shape", [(1, 6, 6), (3, 3, 3), (1, 3, 3), (1, 2, 2), (2, 3, 4)], ids=str)
@pytest.mark.parametrize("n_scales", [1, 9])
def test_every_shape_of_image(shape, n_scales):
    X = np.random.default_rng(0).integers(0, 17, (40, np.prod(shape)))
    flow = MultiscaleFlow(
        image_shape=shape, n_scales=n_scales, n_layers=1, n_hidden_channels=4, max_iter=1,
        random_state=0,
    ).fit(X)  # fmt: skip
    assert np.isfinite(flow.score(X))
    assert flow.inverse_transform(flow.transform(X)).shape == X.shape


@pytest.mark.parametrize("prior", ["lowrank", "flow"])
def test_priors_of_images(prior, digits):
    flow = MultiscaleFlow(
        8, image_shape=(1, 8, 8), prior=prior, factor_out="variance", n_layers=1,
        n_hidden_channels=4, max_iter=2, random_state=0, hidden_layer_sizes=(16,),
    ).fit(digits[:300])  # fmt: skip
    assert flow.transform(digits[:20]).shape == (20, 8)
    assert np.isfinite(flow.score(digits[300:]))


@pytest.mark.parametrize(
    ("options", "message"),
    [({"decoder": "full"}, "for tables"), ({"factor_out": "entropy"}, "directions of a table")],
)
def test_what_images_do_not_have(options, message, digits):
    with pytest.raises(ValueError, match=message):
        MultiscaleFlow(image_shape=(1, 8, 8), **options).fit(digits[:50])
