"""Where a mixed table starts: scores of its columns, and a latent class model of them."""

import warnings
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import torch
from sklearn.cluster import KMeans
from sklearn.exceptions import ConvergenceWarning
from torch import Tensor

from skflow.architectures.table import TablePlan, table_flow
from skflow.data.column_plan import ColumnPlan
from skflow.data.fit_data import FitData
from skflow.data.rows import Rows
from skflow.distributions.normal import LOG_SQRT_2PI
from skflow.distributions.score_mixture import log_normal_mass
from skflow.flow import Flow
from skflow.kernels.moments import weighted_moments
from skflow.starts.search import KNOTS, ROWS_PER_KNOT, SEARCH_SHARE
from skflow.training.clock import Clock
from skflow.training.one_thread import one_thread
from skflow.transforms.tables.autoregression import TableAutoregression
from skflow.transforms.tables.column_edges import (
    all_edges,
    circle_edges,
    lattice_edges,
    up_to_bounds,
)
from skflow.transforms.tables.encoding import TableEncoding
from skflow.transforms.tables.exchangeable_columns import ExchangeableColumns
from skflow.transforms.tables.numeric_column import NumericColumn, modelled_values

SCREENING_ROWS, FINAL_ROWS, JUDGING_ROWS = 4_000, 20_000, 2_000
ITERATIONS, FINAL_ITERATIONS = 15, 30
MAX_COUNTED = 32  # levels of a lattice that are counted one by one; more get a smooth map
FINE = 1e-4  # step of a lattice, in deviations, below which its cells are points
MAX_HEAPED = 50_000  # levels whose own frequencies may count beside a spline
PRIOR_SHARES = (0.1, 0.3, 1.0, 3.0)  # of the rows that the spline counts as
MIN_JUDGED = 5
WORTH_DOUBLING = 0.03  # nats: each class costs time, and training finds smaller gains by itself
ROWS_PER_MEAN = 4  # for every number in a class's mean


def with_edges(
    plans: Sequence[ColumnPlan], x: Tensor, weight: Tensor | None = None
) -> list[ColumnPlan]:
    """Plans of lattices and circles with the edges between which their values are counted."""
    done = []
    for plan, values in zip(plans, x.T, strict=True):
        if plan.kind in ("lattice", "continuous"):
            modelled, counts = modelled_values(values, plan, weight)
            is_lattice = plan.kind == "lattice"
            few = is_lattice and len(modelled.unique()) <= MAX_COUNTED
            if is_lattice and not (plan.period or few):
                plan = replace(plan, fine=plan.step < FINE * _deviation(modelled, counts))
            if plan.period or few or (is_lattice and plan.atoms and not plan.fine):
                edges = (circle_edges if plan.period else lattice_edges)(modelled, plan, counts)
                plan = replace(plan, edges=tuple(edges.tolist()))
        done.append(plan)
    return done


def _deviation(values: Tensor, weight: Tensor | None) -> float:
    if weight is None:
        return float(values.std())
    return float(weighted_moments(values[:, None], weight)[1])


def with_splines(
    plans: Sequence[ColumnPlan], x: Tensor, rng, weight: Tensor | None = None
) -> list[ColumnPlan]:
    """Plans of columns of points or of many cells, with what held-out values of each ask for."""
    done = []
    for plan, values in zip(plans, x.T, strict=True):
        if plan.kind in ("continuous", "lattice") and not plan.edges:
            plan = _best_marginal(plan, Rows(*modelled_values(values, plan, weight)), rng)
        done.append(plan)
    return done


def _best_marginal(plan: ColumnPlan, values: Rows, rng) -> ColumnPlan:
    """The number of knots, and how far to follow the frequencies of single levels."""
    order = rng.permutation(len(values))
    fit, judge = values[order[len(values) // 5 :]], values[order[: len(values) // 5]]
    if len(judge) < MIN_JUDGED:
        return plan

    def score(candidate):
        column = NumericColumn(candidate, 0).double()
        column.initialize(fit.x, torch.ones_like(fit.x) if fit.weight is None else fit.weight)
        (ends,), contribution = column.encode(judge.x)
        if plan.kind == "lattice" and not candidate.fine:
            return judge.mean(log_normal_mass(ends[:, 1], ends[:, 2]) + contribution)
        # With its constant: it is held against the mass of cells where a lattice is fine.
        return judge.mean(contribution - 0.5 * ends[:, 0] ** 2 - LOG_SQRT_2PI)

    plain = replace(plan, atoms=(), symmetric=False)
    n_knots = [0, *(k for k in KNOTS if k * ROWS_PER_KNOT <= fit.n_effective)]
    splines = [replace(plain, n_knots=k) for k in n_knots]
    best = max(splines, key=score)
    distinct = values.x.unique() if plan.kind == "lattice" else ()
    if 0 < len(distinct) <= MAX_HEAPED:
        edges = tuple(up_to_bounds(all_edges(distinct, plan.step), plan).tolist())
        heap = replace(best, edges=edges, fine=False)
        heaped = [replace(heap, prior_rows=s * values.n_effective) for s in PRIOR_SHARES]
        best = max([best, *heaped], key=score)
    return replace(best, atoms=plan.atoms, symmetric=plan.symmetric)


@dataclass
class TableStart:
    """A fitted start: enough to build the flow, and what it scores on held-out rows."""

    encoding: TableEncoding
    autoregression: TableAutoregression
    score: float

    def flow(self) -> Flow:
        """Put encoding, autoregression and base together."""
        return table_flow(self.encoding, self.autoregression)

    def completed(self, plan: TablePlan) -> TablePlan:
        """The plan from which this flow can be built again."""
        columns, n_classes = tuple(self.encoding.plans), self.autoregression.start.n_classes
        return replace(plan, columns=columns, n_classes=n_classes)


class _Candidates:
    """One encoding of the rows, and latent class models of what it gives."""

    def __init__(self, plans, groups, fit: Rows, judge: Rows | None, rng):
        self.encoding = TableEncoding(plans, groups).double()
        n_variables = len(self.encoding.variables)
        ends = self.encoding.initialize(fit.x, fit.weight).view(len(fit), n_variables, 3)
        self.judge = judge
        # Its weights are not used, but torch's own generator is not to be drawn from.
        probe = TableAutoregression(self.encoding.variables, 1, (4,), generator=torch.Generator())
        self.n_latent = len(probe.scores)
        self.codes = ends[:, probe.codes, 0]
        self.scores = spread_cells(ends[:, probe.scores], rng)
        ones = torch.ones(len(fit), dtype=torch.float64)
        self.weight = ones if fit.weight is None else fit.weight
        self.seed = int(rng.randint(2**31 - 1))
        self.n_levels = probe.start.n_levels

    def fit(self, n_classes: int, n_rows: int, max_iter: int, hidden=(4,), generator=None):
        """Fit a latent class model to some rows; build the autoregression that begins there.

        The generator draws its first weights, which matter only where it is trained on.
        """
        if generator is None:
            generator = torch.Generator()
        model = TableAutoregression(
            self.encoding.variables, n_classes, hidden, generator=generator
        ).double()
        some = np.random.RandomState(self.seed).permutation(len(self.codes))[:n_rows]
        codes, scores, weight = self.codes[some], self.scores[some], self.weight[some]
        first = torch.ones(len(some), n_classes, dtype=torch.float64) / n_classes
        if n_classes > 1:
            first = self._clusters(codes, scores, weight, n_classes)
        model.start.fit(codes, scores, weight, first, max_iter)
        return TableStart(self.encoding, model, self._score(model))

    def _clusters(self, codes, scores, weight, n_classes) -> Tensor:
        """First responsibilities: k-means on scores and indicators of levels."""
        columns = [torch.where(scores.isnan(), 0.0, scores).clamp(-4, 4)]
        for i, n_levels in enumerate(self.n_levels):
            levels = torch.arange(n_levels, dtype=codes.dtype)
            columns.append((codes[:, i : i + 1] == levels).to(codes))
        features = torch.cat(columns, 1).numpy()
        kmeans = KMeans(n_classes, n_init=1, max_iter=20, random_state=self.seed)
        with warnings.catch_warnings():  # repeated rows: some classes stay empty
            warnings.simplefilter("ignore", ConvergenceWarning)
            labels = kmeans.fit_predict(features, sample_weight=weight.numpy())
        hard = torch.nn.functional.one_hot(torch.as_tensor(labels).long(), n_classes).double()
        return 0.9 * hard + 0.1 / n_classes

    def _score(self, model: TableAutoregression) -> float:
        if self.judge is None:
            return 0.0
        flow = table_flow(self.encoding, model).eval()
        with torch.no_grad():
            judge = self.judge[: min(len(self.judge), JUDGING_ROWS)]
            scores = torch.cat([flow(part) for part in judge.x.split(500)])
        # Rows outside the bounds or of unseen kinds say nothing about the number of classes.
        return judge.mean(scores.clamp_min(-1e6))

    def climb(self, most: int, clock: Clock) -> tuple[float, int]:
        """Double the classes until that is not worth it, twice: the best score and number."""
        best, falls, k = (-np.inf, 1), 0, 1
        n_distinct = len(self.codes[:SCREENING_ROWS])
        while k <= min(most, n_distinct) and falls < 2:
            if k > 1 and clock.past(SEARCH_SHARE):
                break
            score = self.fit(k, SCREENING_ROWS, ITERATIONS).score
            better = score > best[0] + WORTH_DOUBLING * (k > 1)
            best, falls = ((score, k), 0) if better else (best, falls + 1)
            k *= 2
        return best


def spread_cells(ends: Tensor, rng) -> Tensor:
    """A random score within each cell, even in probability: (n, d) from (n, d, 3)."""
    lower, upper = torch.special.ndtr(ends[..., 1]), torch.special.ndtr(ends[..., 2])
    share = torch.as_tensor(rng.uniform(size=lower.shape))
    level = (lower + share * (upper - lower)).clamp(1e-12, 1 - 1e-12)
    return torch.where(ends[..., 1] == ends[..., 2], ends[..., 0], torch.special.ndtri(level))


@one_thread()
def choose_table_start(
    plan: TablePlan,
    data: FitData,
    rng: np.random.RandomState,
    generator: torch.Generator,
    clock: Clock,
) -> TableStart:
    """Choose the marginal scores and the number of classes on held-out rows.

    Parameters
    ----------
    plan : TablePlan
        Its columns get edges and knots here; there are at most its classes.
    data : FitData
        All rows say which levels and cells there are. Without held-out rows there is one class.
    rng, generator
    clock : Clock
        Of the fit. Where time is short, columns are taken as they are, or fewer classes tried.
    """
    rows, fit, judge, groups = data.rows, data.train, data.held_out, plan.groups
    opened = rows.x
    if groups:
        opened = ExchangeableColumns(groups).double().initialize(rows.x, rows.weight)
    plain = with_edges(plan.columns, opened, rows.weight)
    spaces = [_Candidates(plain, groups, fit, judge, rng)]
    if judge is not None and not clock.past(SEARCH_SHARE):
        curved = with_splines(plain, opened, rng, rows.weight)
        if curved != plain:
            spaces.append(_Candidates(curved, groups, fit, judge, rng))
    n_numbers = spaces[0].n_latent + len(spaces[0].n_levels) + 1
    # Circles are no part of the classes: where there is nothing else, one class is all.
    fed = fit.n_effective // (ROWS_PER_MEAN * n_numbers)
    most = 1 if judge is None or n_numbers == 1 else max(1, min(plan.n_classes, fed))
    climbed = [(*space.climb(most, clock), space) for space in spaces]
    _, n_classes, best = max(climbed, key=lambda entry: entry[0])
    return best.fit(n_classes, FINAL_ROWS, FINAL_ITERATIONS, plan.hidden_layer_sizes, generator)
