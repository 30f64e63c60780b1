"""The exact density of mixed tables: total probability, conditionals, samples, missing cells."""

import itertools
import math
from dataclasses import replace

import numpy as np
import pytest
import torch
from scipy import stats

from skflow.architectures.table import TablePlan, table_flow
from skflow.data.column_plan import ColumnPlan
from skflow.data.fit_data import FitData
from skflow.data.repeated_rows import in_rows
from skflow.data.rows import Rows
from skflow.distributions.score_mixture import wrapped
from skflow.starts.table import choose_table_start, with_edges
from skflow.training.clock import Clock
from skflow.transforms.noise import fresh_draw, fresh_noise
from skflow.transforms.tables.autoregression import TableAutoregression
from skflow.transforms.tables.density import TableDensity
from skflow.transforms.tables.encoding import TableEncoding
from skflow.transforms.tables.exchangeable_columns import ExchangeableColumns
from skflow.transforms.tables.numeric_column import NumericColumn
from skflow.transforms.tables.training_masks import training_masks
from tests.contract.mixed_columns import COLUMNS, MISSING, chain, plan_of
from tests.contract.table import generator, randomise

NAN = math.nan
LIKE = {"dtype": torch.float64}
N = 400


def density_of(flow):
    return TableDensity(flow.fixed, flow.learned)


def make_rows(names, missing=(), seed=0, n=N):
    base, r = chain(seed, n)
    x = np.stack([COLUMNS[name][1](base[:, i], r) for i, name in enumerate(names)], 1)
    for i in missing:
        x[r.rand(n) < 0.25, i] = NAN
    return torch.tensor(x)


def make_flow(names, missing=(), *, groups=(), n_classes=2, seed=0, scale=0.15, x=None):
    """A flow of the named columns with a fitted encoding and random everything else."""
    x = make_rows(names, missing, seed) if x is None else x
    plans = [plan_of(name, i in missing) for i, name in enumerate(names)]
    opened = ExchangeableColumns(groups).double().initialize(x) if groups else x
    edged = with_edges(plans, opened)
    # Splines stay where the plan asks for them.
    plans = [
        e if p.n_knots == 0 or p.prior_rows or e.atoms else p
        for p, e in zip(plans, edged, strict=True)
    ]
    plans = [
        ColumnPlan(**{k: getattr(p, k) for k in p.__dataclass_fields__} | {"edges": heap_edges(v)})
        if p.prior_rows
        else p
        for p, v in zip(plans, x.T, strict=True)
    ]
    encoding = TableEncoding(plans, groups).double()
    encoding.initialize(x)
    autoregression = TableAutoregression(
        encoding.variables, n_classes, (12, 12), generator=generator(seed)
    ).double()
    randomise(autoregression, seed=seed + 1, scale=scale)
    random_classes(autoregression.start, seed)
    return table_flow(encoding, autoregression).eval(), x


def heap_edges(values):
    from skflow.starts.table import all_edges

    return tuple(all_edges(values[~values.isnan()].unique(), 1.0).tolist())


@torch.no_grad()
def random_classes(start, seed):
    """Classes far from each other, with correlated scores."""
    g = generator(seed)
    k, d = start.means.shape
    like = {"generator": g, "dtype": torch.float64}
    start.log_weight.copy_(torch.randn(k, **like).log_softmax(0))
    raw = torch.randn(start.log_levels.shape, **like)
    if start.n_levels:
        parts = [part.log_softmax(1) for part in raw.split(start.n_levels, 1)]
        start.log_levels.copy_(torch.cat(parts, 1))
    start.means.copy_(0.5 * torch.randn(k, d, **like))
    mix = 0.5 * torch.eye(d, dtype=torch.float64) + 0.3 * torch.randn(k, d, d, **like)
    start.covariances.copy_(mix @ mix.mT + 0.1 * torch.eye(d, dtype=torch.float64))


def points_of(flow, column, n_points):
    """Values of one column and their measure: counting, or widths of a grid."""
    encoding = flow.fixed
    plan, module = encoding.plans[column], encoding.columns[column]
    value, width = [], []
    if plan.kind == "categorical":
        value = [-1.0, *range(plan.n_levels)]
        width = [1.0] * len(value)
    elif plan.kind == "levels":
        value = [*plan.levels, 4.56]  # one that was never seen stands for all others
        width = [1.0] * len(value)
    elif plan.kind == "lattice" and not plan.fine:
        centre = plan.origin if plan.period else 0.0
        reach = 100 if not plan.n_knots else 250
        index = torch.arange(-reach, reach + 1, dtype=torch.float64)
        grid = plan.origin + plan.step * index
        if plan.period:
            grid = centre + plan.step * torch.arange(round(plan.period / plan.step))
        value, width = grid.tolist(), [plan.step] * len(grid)
    else:
        if plan.period:  # the density jumps at edges
            n_points *= 4
            edges = 0.3 + torch.linspace(0, plan.period, n_points + 1, dtype=torch.float64)
        else:
            u = torch.linspace(-9, 9, n_points + 1, dtype=torch.float64)
            edges = module.scores.inverse(u)
            if plan.symmetric:
                edges = torch.cat([-edges.flip(0), edges])
        value = ((edges[1:] + edges[:-1]) / 2).tolist()
        width = edges.diff().tolist()
        atoms = sorted({s * a for a in plan.atoms for s in ((1, -1) if plan.symmetric else (1,))})
        value, width = value + atoms, width + [plan.step or 1.0] * len(atoms)
    if plan.missing:
        value, width = [*value, NAN], [*width, 1.0]
    return torch.tensor(value, **LIKE), torch.tensor(width, **LIKE)


def all_rows(flow, n_points, fixed=None):
    """All rows, ``fixed`` columns at their values, and their measure."""
    fixed = fixed or {}
    values, widths = [], []
    for i in range(len(flow.fixed.plans)):
        if i in fixed:
            value, width = torch.tensor([fixed[i]], **LIKE), torch.ones(1, **LIKE)
        else:
            value, width = points_of(flow, i, n_points)
        values.append(value)
        widths.append(width)
    rows = torch.cartesian_prod(*values).reshape(-1, len(values))
    return rows, torch.cartesian_prod(*widths).reshape(-1, len(values)).prod(1)


@torch.no_grad()
def total(score, rows, measure):
    parts = zip(rows.split(50_000), measure.split(50_000), strict=True)
    return float(sum((score(part).exp() * width).sum() for part, width in parts))


def given_score(flow, given):
    return lambda x: density_of(flow).log_prob_by_column(x, given).sum(1)


# ------------------------------------------------------------------------- total probability


@pytest.mark.parametrize("name", COLUMNS)
@pytest.mark.parametrize("seed", [0, 1])
def test_one_column_has_total_probability_one(name, seed):
    flow, _ = make_flow([name], [0] if name in MISSING else [], seed=seed)
    rows, measure = all_rows(flow, 4000)
    assert abs(total(flow.log_prob, rows, measure) - 1) < 5e-4


PAIRS = [
    ("categorical", "continuous"),
    ("continuous", "atoms"),
    ("lattice_atoms", "categorical"),
    ("lattice_atoms", "standardised"),
    ("levels", "bounded_integers"),
    ("levels", "positive"),
    ("angle", "hours"),
    ("angle", "continuous"),
    ("hours", "bounded_integers"),
    ("symmetric", "atoms"),
    ("symmetric_zero", "symmetric_integers"),
    ("smooth_bounded", "heaped"),
    ("rounded", "interval"),
    ("smooth_integers", "symmetric"),
]


@pytest.mark.parametrize("names", PAIRS)
def test_two_columns_have_total_probability_one(names):
    flow, _ = make_flow(names, [i for i, name in enumerate(names) if name in MISSING])
    rows, measure = all_rows(flow, 250)
    assert abs(total(flow.log_prob, rows, measure) - 1) < 1e-3


def test_three_columns_of_any_kind_have_total_probability_one():
    flow, _ = make_flow(["categorical", "lattice_atoms", "atoms"], [0, 2], n_classes=3)
    rows, measure = all_rows(flow, 60)
    assert abs(total(flow.log_prob, rows, measure) - 1) < 1e-3


@pytest.mark.parametrize("names", [["standardised"] * 2, ["standardised"] * 2 + ["categorical"]])
def test_exchangeable_columns_have_total_probability_one(names):
    flow, x = make_flow(names, groups=[[0, 1]], scale=0.15)
    # Towards the diagonal the density grows without bound, as the logarithm of the gap is spread.
    line = torch.linspace(-150, 150, 301, **LIKE)
    edges = torch.cat([torch.zeros(1, **LIKE), torch.logspace(-9, 3, 201, **LIKE)])
    rest = [points_of(flow, 2, 0)[0]] if len(names) > 2 else []
    rows = torch.cartesian_prod(line, (edges[1:] + edges[:-1]) / 2, *rest)
    area = 2 * torch.cartesian_prod(line, edges.diff(), *rest)[:, 1]
    rows[:, 1] += rows[:, 0]
    assert abs(total(flow.log_prob, rows, area) - 1) < 2e-3
    swapped = x[:, [1, 0, *range(2, len(names))]]
    torch.testing.assert_close(flow.log_prob(swapped), flow.log_prob(x))


CONDITIONAL = [
    (("categorical", "continuous"), (0,)),
    (("categorical", "continuous"), (1,)),
    (("continuous", "atoms"), (1,)),
    (("lattice_atoms", "levels", "categorical"), (1,)),
    (("lattice_atoms", "levels", "categorical"), (0, 2)),
    (("angle", "hours", "integers"), (0, 2)),
    (("angle", "hours", "integers"), (1, 2)),
    (("symmetric_zero", "atoms", "positive"), (0, 2)),
    (("symmetric_zero", "atoms", "positive"), (0, 1)),
    (("symmetric_zero", "bounded_integers", "continuous"), (1, 2)),
]


@pytest.mark.parametrize(("names", "given"), CONDITIONAL)
def test_every_conditional_has_total_probability_one(names, given):
    missing = [i for i, name in enumerate(names) if name in MISSING]
    flow, x = make_flow(names, missing)
    free = len(names) - len(given)
    for row in (x[0], x[1], x[x.isnan().any(1)][0]) if missing else x[:3]:
        fixed = {i: float(row[i]) for i in given}
        rows, measure = all_rows(flow, 3000 if free == 1 else 300, fixed)
        assert abs(total(given_score(flow, given), rows, measure) - 1) < 1e-3


def test_what_is_given_is_seen_whatever_its_place():
    flow, x = make_flow(["continuous", "categorical", "standardised"])
    density = density_of(flow)
    for column, given in itertools.permutations(range(3), 2):
        before = density.log_prob_by_column(x, [given])[:, column]
        moved = x.clone()
        moved[:, given] = x[:, given].roll(1)
        after = density.log_prob_by_column(moved, [given])[:, column]
        assert ((before - after).abs() > 1e-6).float().mean() > 0.3


# ------------------------------------------------------------------------- columns and cells

EVERYTHING = [
    "categorical",
    "lattice_atoms",
    "levels",
    "atoms",
    "symmetric_zero",
    "hours",
    "angle",
    "interval",
    "heaped",
]


def everything(n_classes=2, seed=0, n=N, scale=0.2):
    r = np.random.RandomState(seed)
    x = np.stack([COLUMNS[name][1](r.randn(n), r) for name in EVERYTHING], 1)
    missing = [i for i, name in enumerate(EVERYTHING) if name in MISSING]
    for i in missing:
        x[r.rand(n) < 0.25, i] = NAN
    return make_flow(
        EVERYTHING, missing, n_classes=n_classes, seed=seed, scale=scale, x=torch.tensor(x)
    )


def test_columns_add_up_to_the_density():
    flow, x = everything()
    by_column = density_of(flow).log_prob_by_column(x)
    torch.testing.assert_close(by_column.sum(1), flow.log_prob(x), atol=1e-8, rtol=0)


def test_exchangeable_columns_add_up_and_keep_their_places():
    names = ["standardised", "categorical", "standardised"]
    flow, x = make_flow(names, groups=[[0, 2]])
    by_column = density_of(flow).log_prob_by_column(x)
    torch.testing.assert_close(by_column.sum(1), flow.log_prob(x), atol=1e-9, rtol=0)
    swapped = density_of(flow).log_prob_by_column(x[:, [2, 1, 0]])
    torch.testing.assert_close(swapped, by_column[:, [2, 1, 0]])


def test_given_columns_contribute_nothing():
    flow, x = everything()
    by_column = density_of(flow).log_prob_by_column(x, [0, 3, 6])
    assert (by_column[:, [0, 3, 6]] == 0).all()
    assert (by_column[:, [1, 2, 4, 5, 7, 8]] != 0).any(0).all()
    assert (density_of(flow).log_prob_by_column(x, list(range(9))) == 0).all()


def test_a_missing_cell_counts_as_its_mask_only():
    flow, x = everything()
    encoding, autoregression = flow.fixed, flow.learned
    ends = encoding.forward_by_column(x)[0].view(len(x), -1, 3)
    visible = ~ends[..., 0].isnan()
    terms = autoregression.log_prob_by_variable(ends, visible, torch.zeros_like(visible))
    by_column = density_of(flow).log_prob_by_column(x)
    for i, plan in enumerate(encoding.plans):
        absent = x[:, i].isnan()
        assert bool(absent.any()) == plan.missing
        if plan.missing:
            own = terms[absent, encoding.index(i, "present")]
            torch.testing.assert_close(by_column[absent, i], own)
            assert (own < 0).all()


def test_a_cell_that_was_never_missing_is_left_out():
    flow, x = everything()
    for i, plan in enumerate(flow.fixed.plans):
        if not plan.missing:
            hidden = x.clone()
            hidden[:, i] = NAN
            scores = density_of(flow).log_prob_by_column(hidden)
            assert scores.isfinite().all()
            assert (scores[:, i] == 0).all()


@torch.no_grad()
def test_what_is_behind_an_absent_variable_cannot_matter():
    flow, x = everything()
    encoding, autoregression = flow.fixed, flow.learned
    ends = encoding.forward_by_column(x)[0].view(len(x), -1, 3)
    visible = ~ends[..., 0].isnan() & (torch.rand(ends.shape[:2], generator=generator()) < 0.7)
    revealed = visible & (torch.rand(ends.shape[:2], generator=generator(1)) < 0.3)
    codes = torch.tensor([v.kind == "code" for v in autoregression.variables])[None, :, None]
    results = []
    for other in (NAN, 1.0, 0.0):
        changed = torch.where(visible[..., None] | codes & (other == 1.0), ends, other)
        results.append(autoregression.log_prob_by_variable(changed, visible, revealed))
    assert torch.equal(results[0], results[1])
    assert torch.equal(results[0], results[2])
    assert (results[0][~visible | revealed] == 0).all()


def test_no_variable_sees_itself_or_later_ones():
    flow, x = everything()
    encoding, autoregression = flow.fixed, flow.learned
    ends = encoding.forward_by_column(x[:6])[0].view(6, -1, 3)
    visible = torch.ones_like(ends[..., 0], dtype=torch.bool)
    ends = torch.where(ends.isnan(), 0.0, ends)
    revealed = torch.zeros_like(visible)
    revealed[:, [3, -2]] = True
    base = flat_conditionals(autoregression, ends, visible, revealed)
    for i, variable in enumerate(autoregression.variables):
        changed = ends.clone()
        changed[:, i] = (changed[:, i] == 0).double() if variable.kind == "code" else 0.77
        after = flat_conditionals(autoregression, changed, visible, revealed)
        for j in range(len(base)):
            same = torch.allclose(base[j], after[j], atol=1e-12, rtol=1e-12)
            if j in (3, len(base) - 2):
                continue  # what is revealed has no density of its own
            if revealed[0, i] or i < j:
                assert not torch.equal(base[j], after[j])
            else:
                assert same


def flat_conditionals(autoregression, ends, visible, revealed):
    """All numbers of every variable's conditional distribution, side by side."""
    log_levels, scores, angles = autoregression.conditionals(ends, visible, revealed)
    found = []
    for i, variable in enumerate(autoregression.variables):
        if variable.kind == "code":
            found.append(log_levels[autoregression.codes.index(i)])
        else:
            found.append(torch.cat(autoregression._components_of(i, scores, angles), 1))
    return found


# ------------------------------------------------------------------------- samples and latents


@torch.no_grad()
def draws(flow, n, seed=3):
    return flow.sample(n, generator=generator(seed))


def check_counts(flow, samples, given=(), fixed=None):
    """Chi-square of sampled rows of discrete columns against their probabilities."""
    rows, measure = all_rows(flow, 0, fixed)
    with torch.no_grad():
        p = density_of(flow).log_prob_by_column(rows, given).sum(1).exp() * measure
    expected = {tuple(row): float(q) for row, q in zip(as_keys(rows), p, strict=True)}
    keys, counts = np.unique(as_keys(samples), axis=0, return_counts=True)
    observed = dict(zip(map(tuple, keys), counts, strict=True))
    outside = sum(count for key, count in observed.items() if key not in expected)
    assert outside < 1e-3 * len(samples), "rows that have no probability"
    used = [key for key, q in expected.items() if q * len(samples) > 5]
    statistic = sum(
        (observed.get(k, 0) - len(samples) * expected[k]) ** 2 / (len(samples) * expected[k])
        for k in used
    )
    assert len(used) > 2
    assert stats.chi2.sf(statistic, len(used) - 1) > 1e-3


def as_keys(rows):
    return np.nan_to_num(np.round(rows.numpy(), 9) + 0.0, nan=-999.0)


DISCRETE = [
    ["categorical", "lattice_atoms"],
    ["levels", "categorical", "integers"],
    ["hours", "bounded_integers"],
    ["symmetric_integers", "categorical"],
    ["symmetric_integers", "symmetric_integers"],
]


@pytest.mark.parametrize("names", DISCRETE)
def test_samples_of_discrete_columns_follow_the_density(names):
    missing = [i for i, name in enumerate(names) if name in MISSING]
    flow, _ = make_flow(names, missing)
    with_unseen_excluded(flow)
    check_counts(flow, draws(flow, 10_000))


def with_unseen_excluded(flow):
    """No mass for levels that were never seen: they are never sampled."""
    for module in flow.fixed.columns:
        module.log_unseen.copy_(torch.tensor([0.0, -torch.inf]))


CONTINUOUS = [
    ["continuous", "standardised", "positive"],
    ["atoms", "categorical", "interval"],
    ["angle", "continuous", "angle"],
    ["symmetric", "continuous", "symmetric"],
    ["symmetric_zero", "atoms", "symmetric_zero"],
]


@pytest.mark.parametrize("names", CONTINUOUS)
@torch.no_grad()
def test_latents_of_samples_are_standard_normal_and_independent(names):
    flow, _ = make_flow(names, [i for i, name in enumerate(names) if name == "atoms"])
    samples = draws(flow, 6000)
    assert flow.log_prob(samples).isfinite().all()
    z = flow.encode(samples)
    assert z.shape[1] == flow.learned.n_latent
    for column in z.T:
        assert stats.kstest(column[column != 0].numpy(), "norm").pvalue > 1e-3
    both = z[(z != 0).all(1)]
    correlation = torch.corrcoef(both.T) if z.shape[1] > 1 else torch.eye(1)
    assert (correlation - torch.eye(len(correlation))).abs().max() < 5 / math.sqrt(len(both))


@pytest.mark.parametrize("name", ["symmetric_zero", "symmetric", "atoms", "interval", "angle"])
@torch.no_grad()
def test_samples_of_one_continuous_column_follow_the_density(name):
    flow, _ = make_flow([name])
    samples = draws(flow, 20_000)[:, 0]
    rows, measure = all_rows(flow, 4000)
    p = flow.log_prob(rows).exp() * measure
    plan = flow.fixed.plans[0]
    if name == "angle":  # one period, from any start
        samples = 0.3 + (samples - 0.3).remainder(plan.period)
    is_atom = torch.isin(rows[:, 0].abs(), torch.tensor(plan.atoms, **LIKE)) & (measure == 1)
    for atom, q in zip(rows[is_atom, 0], p[is_atom], strict=True):
        count = int((samples == atom).sum())
        assert abs(count - 20_000 * q) < 4 * math.sqrt(20_000 * q + 1)
    free = samples[~torch.isin(samples.abs(), torch.tensor(plan.atoms, **LIKE))]
    order = rows[~is_atom, 0].argsort()
    grid, mass = rows[~is_atom, 0][order], p[~is_atom][order]
    cdf = mass.cumsum(0) / mass.sum()
    assert stats.kstest(np.interp(free, grid, cdf - mass / mass.sum() / 2), "uniform").pvalue > 1e-3


@torch.no_grad()
def test_the_sign_of_a_zero_tells_nothing_to_the_columns_after_it():
    # Two zero-inflated symmetric columns: P(second sign | first is zero) as scored and as drawn.
    flow, _ = make_flow(["symmetric_zero", "symmetric_zero"], scale=1.0)
    samples = draws(flow, 30_000)
    zero_then = samples[(samples[:, 0] == 0) & (samples[:, 1] != 0)]
    encoding, autoregression = flow.fixed, flow.learned
    ends = encoding(zero_then)[0].view(len(zero_then), -1, 3)
    visible = ~ends[..., 0].isnan()
    sign = encoding.index(1, "sign")
    up = ends.clone()
    up[:, sign] = 1.0
    terms = autoregression.log_prob_by_variable(up, visible, torch.zeros_like(visible))
    expected = terms[:, sign].exp().sum()
    variance = (terms[:, sign].exp() * (1 - terms[:, sign].exp())).sum()
    assert abs(int((zero_then[:, 1] > 0).sum()) - expected) < 4 * variance.sqrt()


@torch.no_grad()
def test_rows_come_back_from_their_latents_where_nothing_else_is_drawn():
    for names in (["continuous", "integers", "interval"], ["levels", "rounded", "positive"]):
        flow, x = make_flow(names)
        torch.testing.assert_close(flow.decode(flow.encode(x)), x, atol=1e-6, rtol=1e-6)
    flow, x = make_flow(["angle", "continuous"])
    turned = (flow.decode(flow.encode(x)) - x)[:, 0]
    assert (turned - 2.0 * (turned / 2.0).round()).abs().max() < 1e-6


# ------------------------------------------------------------------------- imputation


@torch.no_grad()
def completed(flow, row, n, seed=5):
    x = row.expand(n, -1)
    z = torch.randn(n, flow.base.n_features, generator=generator(seed), dtype=torch.float64)
    return density_of(flow).complete(x, z, fresh_draw(generator(seed + 1)))


@torch.no_grad()
def test_completing_leaves_known_cells_alone_and_fills_the_others():
    flow, x = everything()
    z = torch.randn(len(x), flow.base.n_features, generator=generator(), dtype=torch.float64)
    full = density_of(flow).complete(x, z, fresh_draw(generator()))
    assert not full.isnan().any()
    assert torch.equal(full[~x.isnan()], x[~x.isnan()])
    assert flow.log_prob(full).isfinite().all()
    again = density_of(flow).complete(full, z, fresh_draw(generator()))
    assert torch.equal(again, full)


@pytest.mark.parametrize(
    ("names", "unknown"),
    [
        (["categorical", "integers", "levels"], [1]),
        (["categorical", "lattice_atoms", "levels"], [1]),
        (["categorical", "lattice_atoms", "levels"], [0, 2]),
        (["hours", "bounded_integers", "categorical"], [0, 1]),
        (["symmetric_integers", "categorical"], [0]),
        (["symmetric_integers", "symmetric_integers"], [1]),
    ],
)
@torch.no_grad()
def test_cells_are_drawn_from_the_conditional_of_those_known(names, unknown):
    # All columns are complete: a missing cell of a column with a mask says that it is missing.
    flow, x = make_flow(names)
    with_unseen_excluded(flow)
    known = [i for i in range(len(names)) if i not in unknown]
    for row in x[:2]:
        drawn = completed(flow, row.index_fill(0, torch.tensor(unknown), NAN), 8000)
        check_counts(flow, drawn, known, {i: float(row[i]) for i in known})


@torch.no_grad()
def test_completing_knows_that_the_missing_cells_exist():
    flow, x = make_flow(["categorical", "continuous"], [0, 1])
    with_unseen_excluded(flow)
    row = torch.tensor([NAN, float(x[~x[:, 1].isnan()][0, 1])], dtype=torch.float64)
    drawn = completed(flow, row, 8000)[:, 0]
    encoding, autoregression = flow.fixed, flow.learned
    candidates = torch.stack([torch.arange(3).double(), row[1].expand(3)], 1)
    ends = encoding(candidates)[0].view(3, -1, 3)
    visible = torch.ones(3, ends.shape[1], dtype=torch.bool)
    revealed = visible.clone()
    revealed[:, encoding.index(0, "value")] = False
    p = autoregression.log_prob_by_variable(ends, visible, revealed).sum(1).exp()
    assert abs(p.sum() - 1) < 1e-9
    counts = torch.stack([(drawn == code).sum() for code in range(3)])
    assert stats.chisquare(counts.numpy(), (8000 * p).numpy()).pvalue > 1e-3


@torch.no_grad()
def test_continuous_cells_are_drawn_from_their_conditional():
    flow, x = make_flow(["continuous", "categorical", "positive"])
    row = x[0].clone()
    drawn = completed(flow, row.index_fill(0, torch.tensor([0]), NAN), 5000)[:, 0]
    rows, measure = all_rows(flow, 4000, {1: float(row[1]), 2: float(row[2])})
    mass = density_of(flow).log_prob_by_column(rows, [1, 2]).sum(1).exp() * measure
    cdf = mass.cumsum(0) - mass / 2
    assert stats.kstest(np.interp(drawn, rows[:, 0], cdf), "uniform").pvalue > 1e-3


# ------------------------------------------------------------------------- rows and extremes


@torch.no_grad()
def test_scores_are_of_each_row_alone():
    flow, x = everything()
    scores = flow.log_prob(x)
    alone = torch.cat([flow.log_prob(row[None]) for row in x[:40]])
    torch.testing.assert_close(alone, scores[:40], atol=1e-9, rtol=0)
    order = torch.randperm(len(x), generator=generator())
    torch.testing.assert_close(flow.log_prob(x[order]), scores[order], atol=1e-9, rtol=0)
    torch.testing.assert_close(flow.log_prob(x.repeat(2, 1))[len(x) :], scores, atol=1e-9, rtol=0)


@torch.no_grad()
def test_no_rows_at_all():
    flow, x = everything()
    assert flow.log_prob(x[:0]).shape == (0,)
    assert density_of(flow).log_prob_by_column(x[:0], [0]).shape == (0, 9)
    assert flow.sample(0).shape == (0, 9)


EXTREMES = {
    "categorical": [-1.0],
    "hours": [1e6, -3e4],
    "angle": [1e6, -1e6],
    "interval": [-2.0, 3.0],
    "levels": [1e6, -1e6],
    "heaped": [-60.0, 80.0],
}


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("column", range(len(EVERYTHING)))
def test_extreme_values_have_finite_scores_and_gradients(column, dtype):
    flow, x = everything()
    flow = flow.to(dtype).requires_grad_(True)
    for value in EXTREMES.get(EVERYTHING[column], [1e6, -1e6, 1e3, 12.0]):
        far = x[:20].to(dtype).clone()
        far[:, column] = value
        scores = flow.log_prob(far)
        assert scores.isfinite().all()
        scores.sum().backward()
        for parameter in flow.parameters():
            assert parameter.grad is None or parameter.grad.isfinite().all()


@torch.no_grad()
def test_far_out_is_unlikely_and_less_so_than_farther_out():
    flow, x = make_flow(["continuous", "integers"], n_classes=1, scale=0.0)
    for column in range(2):
        rows = x[0].repeat(4, 1)
        rows[:, column] = torch.tensor([0.0, 30.0, 1000.0, 1e6])
        assert (flow.log_prob(rows).diff() < 0).all()


@pytest.mark.parametrize("name", ["interval", "positive", "bounded_integers", "smooth_bounded"])
def test_nothing_outside_the_bounds(name):
    flow, _ = make_flow([name])
    low, high = plan_of(name).bounds
    assert (flow.log_prob(torch.tensor([[low - 1.0]]).double()) == -torch.inf).all()
    assert flow.log_prob(torch.tensor([[low]]).double()).isfinite().all()
    if math.isfinite(high):
        assert (flow.log_prob(torch.tensor([[high + 1.0]]).double()) == -torch.inf).all()
    samples = draws(flow, 5000)
    assert ((samples >= low) & (samples <= high)).all()


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_training_on_tables_with_many_missing_cells_is_finite(dtype):
    flow, x = everything()
    x = torch.where(torch.rand(x.shape, generator=generator()) < 0.8, NAN, x)
    x[0] = NAN
    encoded = flow.fixed(x)[0].to(dtype)
    learned = flow.learned.to(dtype).requires_grad_(True).train()
    torch.manual_seed(0)
    for part in (encoded, encoded[:1], encoded[:5]):
        z, contribution = learned(part)
        assert contribution.isfinite().all()
        (-contribution + 0.5 * (z * z).sum(1)).mean().backward()
        for parameter in learned.parameters():
            assert parameter.grad is None or parameter.grad.isfinite().all()


@torch.no_grad()
def test_masks_reveal_visible_variables_only_and_half_of_the_rows_are_plain():
    flow, x = everything(n=64)
    learned = flow.learned
    ends = flow.fixed(x)[0].view(len(x), -1, 3)
    seen = ~ends[..., 0].isnan()
    plain, reveals, hides = 0, 0, 0
    for seed in range(60):
        g = generator(seed)
        noise = lambda t, k, g=g: torch.randn(len(t), k, generator=g, dtype=t.dtype)  # noqa: E731
        visible, revealed = training_masks(
            seen, learned.column_of, learned.is_present, noise, learned.start.means.dtype
        )
        assert not (visible & ~seen).any()
        assert not (revealed & ~visible).any()
        untouched = (visible == seen).all(1) & ~revealed.any(1)
        plain += float(untouched.float().mean()) / 60
        reveals += float(revealed.any(1).float().mean()) / 60
        hides += float((seen & ~visible).any(1).float().mean()) / 60
        for column in range(x.shape[1]):
            own = (learned.column_of == column) & ~learned.is_present
            hidden = (seen & ~visible)[:, own]
            # A column is hidden with all that there is of it.
            assert ((hidden == seen[:, own]).all(1) | ~hidden.any(1)).all()
    assert 0.45 < plain < 0.62
    assert reveals > 0.3
    assert hides > 0.12


def test_the_circle_is_wrapped_often_enough():
    mean = torch.linspace(0, 2 * math.pi, 9, dtype=torch.float64)[:, None]
    parts = wrapped(torch.zeros_like(mean), mean, torch.full_like(mean, 2.0))
    ends = torch.tensor([0.0, 2 * math.pi], dtype=torch.float64)
    inside = torch.special.ndtr((ends - parts[1][..., None]) / parts[2][..., None])
    assert (inside.diff(dim=-1).sum((1, 2)) - 1).abs().max() < 1e-9


# ------------------------------------------------------------------------- the start


def start_of(x, plans, groups=(), judge=True, max_classes=4, weight=None, seed=0):
    rows = Rows(x, None if weight is None else torch.tensor(in_rows(weight.numpy())))
    cut = len(x) // 4 if judge else 0
    data = replace(FitData.plain(rows[cut:], rows[:cut] if judge else None), rows=rows)
    plan = TablePlan(plans, groups, max_classes, (8, 8))
    return choose_table_start(plan, data, np.random.RandomState(seed), generator(seed), Clock())


def test_whole_numbers_of_a_wide_range_are_scored_alike_in_both_precisions():
    r = np.random.RandomState(0)
    z = r.gamma(2, 1, 600)
    x = torch.tensor(
        np.rint(np.c_[z * 1e7, z * 1e7 + r.randn(600) * 1e6, np.r_[0 * z[:200], z[200:] * 1e8]])
    )
    plans = [ColumnPlan("lattice", step=1.0), ColumnPlan("lattice", step=1.0)]
    plans.append(ColumnPlan("lattice", step=1.0, atoms=(0.0,)))
    flow = start_of(x, plans).flow().eval()
    encoding, learned = flow.fixed, flow.learned
    assert [plan.fine for plan in encoding.plans] == [True] * 3
    with torch.no_grad():
        encoded = encoding(x)[0]
        exact = learned(encoded)[1]
        single = learned.float()(encoded.float())[1]
        drawn = flow.double().sample(500, generator=generator())
    assert (exact - single).abs().max() < 0.01
    assert torch.equal(drawn, drawn.round())


def test_a_start_of_everything_is_normalised_and_samples():
    flow, x = everything()
    plans = [plan_of(n, p.missing) for n, p in zip(EVERYTHING, flow.fixed.plans)]  # noqa: B905
    started = start_of(x, plans).flow().eval()
    with torch.no_grad():
        assert started.log_prob(x).isfinite().all()
        assert started.sample(50).shape == (50, 9)
    small = ["categorical", "lattice_atoms"]
    y = make_rows(small, [0, 1])
    started = start_of(y, [plan_of(name, True) for name in small]).flow().eval()
    rows, measure = all_rows(started, 0)
    assert abs(total(started.log_prob, rows, measure) - 1) < 1e-3


def test_the_start_does_not_depend_on_the_unit_of_weights():
    x = make_rows(["categorical", "integers", "continuous"])
    plans = [plan_of(name) for name in ("categorical", "integers", "standardised")]
    weight = torch.rand(len(x), generator=generator(), dtype=torch.float64) + 0.1
    scores = []
    with torch.no_grad():
        for unit in (1.0, 1e-6, 1e6):
            flow = start_of(x, plans, judge=False, weight=unit * weight).flow().eval()
            scores.append(flow.log_prob(x))
    torch.testing.assert_close(scores[0], scores[1], atol=1e-6, rtol=0)
    torch.testing.assert_close(scores[0], scores[2], atol=1e-6, rtol=0)


@pytest.mark.parametrize("judge", [True, False])
def test_columns_without_a_value_among_the_fitting_rows(judge):
    names = ["categorical", "lattice_atoms", "levels", "atoms", "positive", "hours", "angle"]
    r = np.random.RandomState(0)
    x = torch.tensor(np.stack([COLUMNS[n][1](r.randn(40), r) for n in names], 1))
    x[8:] = NAN  # the fitting rows hold nothing at all
    plans = [plan_of(name, True) for name in names]
    flow = start_of(x, plans, judge=judge).flow().eval()
    with torch.no_grad():
        assert flow.log_prob(x).isfinite().all()
        assert flow.sample(20).shape == (20, 7)


def test_atoms_that_are_all_there_is_among_the_fitting_rows():
    x = torch.zeros(40, 2, dtype=torch.float64)
    x[:4, 0] = torch.tensor([1.0, 3.0, -2.0, 5.0])
    x[:4, 1] = torch.tensor([0.13, 0.38, -2.2, 0.51])
    plans = [
        ColumnPlan("lattice", step=1.0, atoms=(0.0,)),
        ColumnPlan("continuous", atoms=(0.0,)),
    ]
    flow = start_of(x, plans).flow().eval()
    with torch.no_grad():
        assert flow.log_prob(x).isfinite().all()
        assert flow.sample(20).isfinite().all()


def test_repeated_rows_and_circles_alone():
    x = make_rows(["categorical", "standardised"])
    repeated = x[:3].repeat(100, 1)
    plans = [
        plan_of("categorical"),
        ColumnPlan("levels", levels=tuple(x[:3, 1].sort()[0].tolist())),
    ]
    hours = make_rows(["hours"])
    codes = repeated[:, :1].repeat(1, 2)
    both = [plan_of("categorical")] * 2
    for rows, kinds in ((repeated, plans), (codes, both), (hours, [plan_of("hours")])):
        flow = start_of(rows, kinds).flow().eval()
        with torch.no_grad():
            assert flow.log_prob(rows).isfinite().all()
            assert flow.sample(20).isfinite().all()


def test_columns_that_say_nothing():
    x = torch.zeros(50, 3, dtype=torch.float64)
    x[:, 2] = 4.0
    plans = [
        ColumnPlan("categorical", n_levels=1),
        ColumnPlan("categorical", n_levels=1),
        ColumnPlan("levels", levels=(4.0,)),
    ]
    flow = start_of(x, plans).flow().eval()
    with torch.no_grad():
        scores = flow.log_prob(x)
        assert torch.equal(flow.sample(5), x[:5])
    assert scores.isfinite().all()
    assert (scores > -0.2).all()


@pytest.mark.parametrize("n", [2, 3, 5, 12, 20])
def test_few_rows_and_repeated_ones(n):
    names = ["categorical", "integers", "standardised", "atoms"]
    x = make_rows(names[:3], n=n)
    x = torch.cat([x, x[:, 2:] * 0], 1)
    plans = [plan_of(name) for name in names]
    for rows in (x, x[:1].expand(n, -1)):
        flow = start_of(rows.clone(), plans, judge=n >= 12).flow().eval()
        with torch.no_grad():
            assert flow.log_prob(x).isfinite().all()
            assert flow.sample(20).isfinite().all()


@pytest.mark.parametrize("unit", [1e-12, 1e12])
def test_units_of_numbers_move_the_density_and_nothing_else(unit):
    names = ["continuous", "rounded", "interval"]
    x = make_rows(names)
    plans = [plan_of("standardised"), plan_of("rounded"), plan_of("interval")]
    scaled = [
        ColumnPlan("continuous"),
        ColumnPlan("lattice", step=0.25 * unit, origin=0.1 * unit),
        ColumnPlan("continuous", bounds=(-2.0 * unit, 3.0 * unit)),
    ]
    with torch.no_grad():
        first = start_of(x, plans, judge=False).flow().eval().log_prob(x)
        second = start_of(x * unit, scaled, judge=False).flow().eval().log_prob(x * unit)
    torch.testing.assert_close(second, first - 3 * math.log(unit), atol=1e-4, rtol=0)


def test_numeric_columns_build_from_their_plans():
    for name in COLUMNS:
        if COLUMNS[name][0].kind != "categorical" and not COLUMNS[name][0].period:
            NumericColumn(COLUMNS[name][0], 0)


@torch.no_grad()
def test_a_group_with_a_missing_cell_is_left_out():
    names = ["standardised", "categorical", "standardised"]
    flow, x = make_flow(names, groups=[[0, 2]])
    half, whole = x.clone(), x.clone()
    half[:, 0] = NAN
    whole[:, [0, 2]] = NAN
    scores = density_of(flow).log_prob_by_column(half)
    assert torch.equal(scores, density_of(flow).log_prob_by_column(whole))
    assert (scores[:, [0, 2]] == 0).all()
    assert (scores[:, 1] < 0).all()


def test_training_a_table_that_says_nothing_has_a_gradient():
    flow, x = make_flow(["constant"], x=torch.full((20, 1), 4.0, **LIKE))
    encoded = flow.fixed(x)[0]
    learned = flow.learned.requires_grad_(True).train()
    learned(encoded)[1].sum().backward()


# ------------------------------------------------------------------------- what training teaches


def masks(seen, learned, seed):
    g = generator(seed)
    noise = lambda t, k: torch.randn(len(t), k, generator=g, dtype=t.dtype)  # noqa: E731
    return training_masks(
        seen, learned.column_of, learned.is_present, noise, learned.start.means.dtype
    )


@torch.no_grad()
def test_masks_reveal_which_cells_exist_with_their_values_and_without():
    flow, _ = make_flow(["continuous", "categorical"], missing=[0, 1])
    learned = flow.learned
    bits = learned.is_present
    seen = torch.ones(16, len(learned.variables), dtype=torch.bool)
    bits_alone = 0
    for seed in range(200):
        visible, revealed = masks(seen, learned, seed)
        for column in (0, 1):
            own = learned.column_of == column
            with_value = revealed[:, own & ~bits].any(1)
            assert (revealed[with_value][:, own & bits]).all()
            assert not (visible[:, own & ~bits].any(1) & ~visible[:, own & bits].any(1)).any()
        alone = revealed[:, bits].all(1) & ~revealed[:, ~bits].any(1)
        bits_alone += float(alone.double().mean()) / 200
    # Of a quarter of the groups all bits are revealed; two values are not in a third of these.
    assert abs(bits_alone - 1 / 12) < 0.02


def test_a_trained_conditional_is_the_truth_given_that_a_cell_exists():
    """Its value is then unknown: the average over all of them, not what a typical one says."""
    g, n, n_steps = generator(0), 2048, 250
    a = torch.randn(n, generator=g, **LIKE)
    c = (torch.rand(n, generator=g, **LIKE) < torch.sigmoid(6 * (a - 1.3))).double()
    here = torch.rand(n, generator=g, **LIKE) < 0.7
    plans = [ColumnPlan("continuous", missing=True), ColumnPlan("categorical", n_levels=2)]
    encoding = TableEncoding(plans)
    ends = encoding.initialize(torch.stack([torch.where(here, a, NAN), c], 1))
    learned = TableAutoregression(encoding.variables, 1, (16, 16), generator=g).double()
    optimizer = torch.optim.Adam(learned.parameters())
    for step in range(n_steps):
        rows = torch.randint(n, (512,), generator=g)
        z, contribution = learned(ends[rows], None, fresh_noise(g))
        optimizer.param_groups[0]["lr"] = 0.005 * (1 + math.cos(math.pi * step / n_steps))
        optimizer.zero_grad()
        (0.5 * z.square().sum(1) - contribution).mean().backward()
        optimizer.step()
    learned.eval()
    assert [(v.column, v.role) for v in learned.variables] == [
        (0, "present"),
        (1, "value"),
        (0, "value"),
    ]
    exists = torch.ones(1, 3, 3, **LIKE)
    visible, revealed = torch.tensor([[True, True, False]]), torch.tensor([[True, False, False]])
    with torch.no_grad():
        log_levels, _, _ = learned.conditionals(exists, visible, revealed)
    assert abs(log_levels[1].exp()[0, 1] - c[here].mean()) < 0.008
