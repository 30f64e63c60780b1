"""An autoregressive density of the variables of a table, given any of them."""

import math
from collections.abc import Callable, Sequence

import torch
from torch import Tensor

from skflow.distributions.categorical import Categorical
from skflow.distributions.latent_class import LatentClass
from skflow.distributions.normal import LOG_SQRT_2PI
from skflow.distributions.score_mixture import (
    cumulated,
    log_cell,
    log_point,
    quantile,
    wrapped,
)
from skflow.kernels.families import bounded_log_scale
from skflow.networks.block_masked_mlp import BlockMaskedMLP
from skflow.networks.reach import within_reach
from skflow.transforms.base import Compose, StochasticTransform
from skflow.transforms.noise import Draw, Noise, fresh_draw, fresh_noise
from skflow.transforms.table_columns import Variable, three
from skflow.transforms.table_encoding import TableEncoding

MIN_COMPONENTS = 8  # of a score's conditional density: classes are split into copies up to there
COPY_SPREAD = 0.6  # of the copies' means, in deviations of the class
BROAD_WEIGHT, BROAD_DEVIATION = 0.003, 1.5  # a component that no outlier is impossible under
MIN_DEVIATION = 1e-3
MAX_TURN_DEVIATION = 2.0  # on a circle: five turns then hold all but 4e-10
N_ANGLES = 8  # components on a circle, evenly spread at first
ANGLE_DEVIATION = 0.8
GROUPS = 16  # of a batch's rows: what is revealed and hidden in training is drawn for each
PLAIN_SHARE = 0.5  # of the groups have nothing revealed or hidden: that is the density itself
HIDDEN_SHARE = 0.5  # of the others have hidden columns as well
N_STEPS = 20  # pieces of a score's range that a network sees apart: what it says may jump there
MIN_LEVEL = 1e-12  # of a latent's cumulated probability, and as far from one

Components = tuple[Tensor, Tensor, Tensor]
Snap = Callable[[int, Tensor], Tensor]


def _n_features(variable: Variable) -> int:
    """Numbers that a network sees of a variable."""
    if variable.kind == "code":
        return variable.n_levels
    return 2 if variable.circular else 1 + N_STEPS


class TableAutoregression(StochasticTransform):
    r"""Variable by variable, each given the ones before it and any that are *revealed*.

    .. math:: \log p(x_B | x_A) = \sum_{i \in B} \log p(x_i | x_A, x_{B, <i})

    for every set A of revealed variables; with none revealed it is the density of the row. Absent
    variables contribute nothing and are seen by none. At first this is `LatentClass`, whose
    conditionals are known for any A; a masked network that sees A as its context then moves logits,
    weights, means and deviations. Training reveals and hides random columns, so one network learns
    all these conditionals.

    Latent variables are the normal scores of every numeric variable under its conditional
    distribution, of the middle of a cell; 0 for an absent one. A cell or an absent variable is a
    rounding or a slice whose posterior is known, so the likelihood is exact.

    Parameters
    ----------
    variables : sequence of Variable
        In their order. Rows are laid out as three numbers for each.
    n_classes : int
        Classes of the start.
    hidden_layer_sizes : sequence of int
    generator : torch.Generator, optional

    References
    ----------
    Nielsen, Jaini, Hoogeboom, Winther, Welling (2020), "SurVAE Flows", arXiv:2007.02731.
    Strauss, Oliva (2021), "Arbitrary Conditional Distributions with Energy", arXiv:2102.04426.
    Gorishniy, Rubachev, Babenko (2022), "On Embeddings for Numerical Features in Tabular Deep
    Learning", arXiv:2203.05556: scores in pieces.
    """

    column_of: Tensor
    is_present: Tensor
    steps: Tensor

    def __init__(
        self,
        variables: Sequence[Variable],
        n_classes: int,
        hidden_layer_sizes: Sequence[int] = (128, 128),
        *,
        generator: torch.Generator | None = None,
    ):
        super().__init__()
        self.variables = list(variables)
        codes = [i for i, v in enumerate(variables) if v.kind == "code"]
        scores = [i for i, v in enumerate(variables) if v.kind != "code" and not v.circular]
        angles = [i for i, v in enumerate(variables) if v.circular]
        self.codes, self.scores, self.angles = codes, scores, angles
        self.numeric = sorted(scores + angles)
        self.start = LatentClass(n_classes, [variables[i].n_levels for i in codes], len(scores))
        self.n_copies = max(1, MIN_COMPONENTS // n_classes)
        n_components = n_classes * self.n_copies + 1
        inputs = [_n_features(v) for v in variables]
        outputs = [
            v.n_levels if v.kind == "code" else 3 * (N_ANGLES if v.circular else n_components)
            for v in variables
        ]
        self.output_sizes = outputs
        n_seen = sum(inputs) + len(inputs)
        self.network = BlockMaskedMLP(
            [size + 1 for size in inputs],
            outputs,
            hidden_layer_sizes,
            n_context=n_seen,
            generator=generator,
        )
        levels = torch.arange(1, N_STEPS + 2, dtype=torch.float64) / (N_STEPS + 2)
        self.register_buffer("steps", torch.special.ndtri(levels))
        column = [v.column for v in variables]
        present = [v.role == "present" for v in variables]
        self.register_buffer("column_of", torch.tensor(column, dtype=torch.long), persistent=False)
        self.register_buffer(
            "is_present", torch.tensor(present, dtype=torch.bool), persistent=False
        )

    @property
    def n_latent(self) -> int:
        """Numeric variables."""
        return len(self.numeric)

    # -- what networks see --------------------------------------------------------------------

    def _features(self, ends: Tensor, visible: Tensor) -> Tensor:
        """One block per variable: what it is, or zeros, and whether it is visible."""
        value = torch.where(visible, ends[..., 0], 0.0)
        blocks = [value[:, :0]]
        flags = visible.to(value)
        for i, variable in enumerate(self.variables):
            own, flag = value[:, i : i + 1], flags[:, i : i + 1]
            if variable.kind == "code":
                levels = torch.arange(variable.n_levels, device=own.device, dtype=own.dtype)
                block = (own == levels).to(own) * flag
            elif variable.circular:
                block = torch.cat([own.cos(), own.sin()], 1) * flag
            else:
                share = (own - self.steps[:-1]) / self.steps.diff()
                block = torch.cat([within_reach(own), share.clamp(0, 1) * flag], 1)
            blocks += [block, flag]
        return torch.cat(blocks, 1)

    # -- conditional distributions ------------------------------------------------------------

    def _start_conditionals(
        self, ends: Tensor, visible: Tensor, revealed: Tensor
    ) -> tuple[Tensor, Tensor, Tensor]:
        """Log class weights for every variable (n, V, K); means and deviations (n, K, scores)."""
        value = torch.where(visible, ends[..., 0], 0.0)
        n, n_variables = visible.shape
        log_terms = value.new_zeros(n, n_variables, self.start.n_classes)
        if self.codes:
            seen = visible[:, self.codes]
            log_terms[:, self.codes] = self.start.log_codes(value[:, self.codes], seen)
        means, deviations, log_scores = self.start.conditionals(
            value[:, self.scores], visible[:, self.scores], revealed[:, self.scores]
        )
        if self.scores:
            log_terms[:, self.scores] = log_scores.movedim(1, 2)
        # What is revealed counts for all, the others for those after them.
        known = (log_terms * revealed[..., None]).sum(1, keepdim=True)
        others = log_terms * ~revealed[..., None]
        before = torch.cat([torch.zeros_like(others[:, :1]), others[:, :-1]], 1).cumsum(1)
        log_weight = (self.start.log_weight + known + before).log_softmax(2)
        return log_weight, means, deviations

    def conditionals(
        self, ends: Tensor, visible: Tensor, revealed: Tensor
    ) -> tuple[list[Tensor], Components, Components]:
        """What every variable is, given the visible ones before it and those revealed.

        Parameters
        ----------
        ends : Tensor of shape (n, V, 3)
        visible, revealed : bool Tensor of shape (n, V)
            Revealed ones are visible.

        Returns
        -------
        log_levels : list of Tensor (n, n_levels), one for each code
        scores, angles : (log_weight, mean, deviation), each of shape (n, variables, components)
        """
        out = self.network(self._features(ends, visible), self._features(ends, revealed))
        parts = out.split(self.output_sizes, 1)
        log_weight, means, deviations = self._start_conditionals(ends, visible, revealed)
        k = self.start.n_classes
        log_levels = []
        for i, at in enumerate(self.codes):
            first = self.start.offsets[i]
            own = self.start.log_levels[:, first : first + self.start.n_levels[i]]
            mixed = log_weight[:, at] if k == 1 else None
            mixed = (
                own.expand(len(out), -1)
                if mixed is not None
                else torch.logsumexp(log_weight[:, at, :, None] + own, 1)
            )
            log_levels.append((mixed + parts[at]).log_softmax(1))
        raw = torch.stack([parts[i] for i in self.scores], 1) if self.scores else out[:, :0, None]
        scores = self._score_components(raw, log_weight[:, self.scores], means.mT, deviations.mT)
        turned = torch.stack([parts[i] for i in self.angles], 1) if self.angles else None
        angles = self._angle_components(out if turned is None else turned, turned is None)
        return log_levels, scores, angles

    def _score_components(self, raw, log_weight, means, deviations) -> Components:
        """Classes in copies and a broad component, moved by the network's ``raw`` numbers."""
        c = self.n_copies
        if not self.scores:
            return raw, raw, raw
        spread = torch.linspace(-COPY_SPREAD, COPY_SPREAD, c, dtype=raw.dtype, device=raw.device)
        spread = spread if c > 1 else torch.zeros_like(spread)
        narrowed = (1 - spread.square().mean()).sqrt()
        mean = (means[..., None] + deviations[..., None] * spread).flatten(2)
        deviation = (deviations[..., None] * narrowed).expand(*deviations.shape, c).flatten(2)
        log_weight = log_weight.repeat_interleave(c, 2) - math.log(c)
        broad = torch.zeros_like(mean[..., :1])
        mean = torch.cat([mean, broad], 2)
        deviation = torch.cat([deviation, broad + BROAD_DEVIATION], 2)
        log_weight = torch.cat(
            [log_weight + math.log(1 - BROAD_WEIGHT), broad + math.log(BROAD_WEIGHT)], 2
        )
        moved_weight, moved_mean, moved_scale = raw.chunk(3, 2)
        return (
            (log_weight + moved_weight).log_softmax(2),
            mean + deviation * moved_mean,
            (deviation * bounded_log_scale(moved_scale).exp()).clamp_min(MIN_DEVIATION),
        )

    def _angle_components(self, raw, empty) -> Components:
        if empty:
            nothing = raw.new_zeros(len(raw), 0, 1)
            return nothing, nothing, nothing
        moved_weight, moved_mean, moved_scale = raw.chunk(3, 2)
        centre = 2 * math.pi * torch.arange(N_ANGLES, dtype=raw.dtype, device=raw.device) / N_ANGLES
        deviation = ANGLE_DEVIATION * bounded_log_scale(moved_scale).exp()
        return wrapped(
            moved_weight.log_softmax(2),
            (centre + moved_mean).remainder(2 * math.pi),
            deviation.clamp(MIN_DEVIATION, MAX_TURN_DEVIATION),
        )

    # -- the density --------------------------------------------------------------------------

    def _components_of(self, index: int, scores: Components, angles: Components) -> Components:
        """Components (n, M) of one numeric variable."""
        group, components = (
            (self.angles, angles) if self.variables[index].circular else (self.scores, scores)
        )
        log_weight, mean, deviation = components
        at = group.index(index)
        return log_weight[:, at], mean[:, at], deviation[:, at]

    def log_prob_by_variable(self, ends: Tensor, visible: Tensor, revealed: Tensor) -> Tensor:
        """Log-probability of every variable (n, V), 0 where revealed or not visible.

        Parameters
        ----------
        ends : Tensor of shape (n, V, 3)
        visible, revealed : bool Tensor of shape (n, V)
            Revealed ones are visible.
        """
        return self._terms(ends, visible, revealed, self.conditionals(ends, visible, revealed))

    def _terms(self, ends, visible, revealed, conditionals) -> Tensor:
        log_levels, scores, angles = conditionals
        codes = torch.where(visible[:, self.codes], ends[:, self.codes, 0], 0.0).long()
        columns, places = [], []
        for j, log_level in enumerate(log_levels):
            columns.append(log_level.gather(1, codes[:, j : j + 1]))
        places += self.codes
        for group, components in ((self.scores, scores), (self.angles, angles)):
            for kind in ("cell", "point"):
                own = [j for j, i in enumerate(group) if self.variables[i].kind == kind]
                if not own:
                    continue
                at = [group[j] for j in own]
                log_weight, mean, deviation = (part[:, own] for part in components)
                here = visible[:, at, None]
                if kind == "cell":
                    # An absent cell needs some width: its term is dropped below.
                    values = torch.where(here, ends[:, at, 1:], ends.new_tensor([-1.0, 1.0]))
                    columns.append(log_cell(values, log_weight, mean, deviation))
                else:
                    values = torch.where(here, ends[:, at, :1], 0.0)[..., 0]
                    columns.append(log_point(values, log_weight, mean, deviation))
                places += at
        if not columns:  # constant columns only: zeros, of which training may ask for a gradient
            return scores[0][..., 0]
        back = torch.tensor(places, device=ends.device).argsort()
        terms = torch.cat(columns, 1)[:, back]
        return torch.where(visible & ~revealed, terms, 0.0)

    def _latents(self, ends, visible, scores, angles) -> Tensor:
        """Normal scores of the numeric variables, 0 for absent ones: (n, numeric)."""
        tiny = max(MIN_LEVEL, torch.finfo(ends.dtype).eps)
        columns = [ends[:, :0, 0]]
        for i in self.numeric:
            components = self._components_of(i, scores, angles)
            here = visible[:, i]
            lower, upper = (torch.where(here, ends[:, i, side], 0.0) for side in (1, 2))
            level = (cumulated(lower, *components) + cumulated(upper, *components)) / 2
            if self.variables[i].circular:
                level = level - cumulated(torch.zeros_like(level), *components)
            z = torch.special.ndtri(level.clamp(tiny, 1 - tiny))
            columns.append(torch.where(here, z, 0.0)[:, None])
        return torch.cat(columns, 1)

    def _training_masks(self, visible: Tensor, noise: Noise) -> tuple[Tensor, Tensor]:
        """Visible and revealed variables, for half of the rows at random."""
        n_groups = min(GROUPS, len(visible))
        n_columns = int(self.column_of.max()) + 1
        like = torch.zeros(n_groups, 0, dtype=self.start.means.dtype, device=visible.device)
        u = torch.special.ndtr(noise(like, 4 + n_columns))
        kind, share, hidden, bits = u[:, :4, None].unbind(1)
        own = u[:, 4:][:, self.column_of]
        mixed = kind > PLAIN_SHARE
        revealed = mixed & (own < share)
        hides = mixed & (kind > 1 - (1 - PLAIN_SHARE) * HIDDEN_SHARE)
        hide = hides & (1 - own < (1 - share) * hidden)
        # To impute is to know which cells are missing, whatever else is known.
        all_bits = mixed & (bits < 0.5) & self.is_present
        revealed, hide = revealed | all_bits, hide & ~all_bits
        group = torch.arange(len(visible), device=visible.device) % n_groups
        visible = visible & ~hide[group]
        return visible, revealed[group] & visible

    def forward(self, x, context=None, noise: Noise | None = None):
        ends = x.view(len(x), len(self.variables), 3)
        visible = ~ends[..., 0].isnan()
        revealed = torch.zeros_like(visible)
        if self.training and self.variables:
            noise = fresh_noise() if noise is None else noise
            visible, revealed = self._training_masks(visible, noise)
        conditionals = self.conditionals(ends, visible, revealed)
        log_prob = self._terms(ends, visible, revealed, conditionals).sum(1)
        # The contribution makes up for the base's density, so in training any latent will do.
        z = (
            ends.new_zeros(len(ends), self.n_latent)
            if self.training
            else self._latents(ends, visible, *conditionals[1:])
        )
        return z, log_prob + (0.5 * z * z + LOG_SQRT_2PI).sum(1)

    # -- the generative direction -------------------------------------------------------------

    def _applies(self, ends: Tensor, index: int) -> Tensor:
        """Rows whose variable ``index`` has a value, by the ones of its column before it."""
        own = self.variables[index]
        applies = torch.ones(len(ends), dtype=torch.bool, device=ends.device)
        for i, other in enumerate(self.variables):
            if other.column != own.column or i == index:
                continue
            if other.role == "present":
                applies &= ends[:, i, 0] == 1
            elif other.role == "spike" and own.role == "value":
                applies &= ends[:, i, 0] == 0
        return applies

    def complete(
        self,
        ends: Tensor,
        z: Tensor,
        draw: Draw,
        snap: Snap,
        signless: Callable[[int, Tensor], Tensor] | None = None,
    ) -> Tensor:
        """Fill in what is absent (NaN) in ``ends`` (n, V, 3), given what is not.

        Scores are the quantiles of the latents ``z`` under their conditional distributions, put
        into their cells by ``snap``; codes are drawn with ``draw``. ``signless`` says in which rows
        a sign is that of a zero, which has none.
        """
        ends = ends.clone()
        revealed = ~ends[..., 0].isnan()
        for i, variable in enumerate(self.variables):
            wanted = ~revealed[:, i] & self._applies(ends, i)
            if variable.role == "sign" and signless is not None:
                wanted &= ~signless(i, ends)
            rows = wanted.nonzero()[:, 0]
            if not len(rows):
                continue
            here = ends[rows]
            here[:, i] = 0.0  # its own value plays no part
            log_levels, scores, angles = self.conditionals(
                here, ~here[..., 0].isnan(), revealed[rows]
            )
            if variable.kind == "code":
                logits = log_levels[self.codes.index(i)]
                drawn = draw(Categorical(variable.n_levels), logits)[:, 0]
                ends[rows, i] = drawn[:, None]
                continue
            components = self._components_of(i, scores, angles)
            level = torch.special.ndtr(z[rows, self.numeric.index(i)])
            if variable.circular:
                level = level + cumulated(torch.zeros_like(level), *components)
            ends[rows, i] = snap(i, quantile(level, *components))
        return ends

    def inverse(self, z, context=None, draw=None):
        """Draw rows; by themselves, without an encoding, cells are the points drawn in them."""
        draw = fresh_draw() if draw is None else draw
        nothing = z.new_full((len(z), len(self.variables), 3), torch.nan)
        return self.complete(nothing, z, draw, lambda index, u: three(u)).flatten(1)


class TableDensity(Compose):
    """The encoding of a table and the autoregression of its variables, column by column.

    Parameters
    ----------
    encoding : TableEncoding
    autoregression : TableAutoregression
    """

    def __init__(self, encoding: TableEncoding, autoregression: TableAutoregression):
        super().__init__([encoding, autoregression])

    def _variables_of(self, columns: Sequence[int]) -> Tensor:
        """Which variables belong to the columns."""
        _, autoregression = self.steps
        return torch.isin(
            autoregression.column_of,
            torch.tensor(list(columns), dtype=torch.long, device=autoregression.column_of.device),
        )

    def log_prob_by_column(self, x: Tensor, given: Sequence[int] = ()) -> Tensor:
        """Log-density of each column given the ``given`` ones and those before it, (n, d).

        Zero for the given columns and, but for the chance of being missing, for missing cells.
        """
        encoding, autoregression = self.steps
        encoded, contribution, owner = encoding.forward_by_column(x)
        ends = encoded.view(len(x), len(encoding.variables), 3)
        visible = ~ends[..., 0].isnan()
        revealed = visible & self._variables_of(given)
        terms = autoregression.log_prob_by_variable(ends, visible, revealed)
        contribution = contribution.clone()
        contribution[:, list(given)] = 0.0
        by_column = contribution.index_add(1, autoregression.column_of, terms)
        return torch.zeros_like(by_column).scatter(1, owner, by_column)

    def complete(self, x: Tensor, z: Tensor, draw: Draw) -> Tensor:
        """Fill in the missing cells (NaN) of rows, given the others and that these exist."""
        encoding, autoregression = self.steps
        encoded, _, _ = encoding.forward_by_column(x)
        ends = encoded.view(len(x), len(encoding.variables), 3).clone()
        ends[:, autoregression.is_present] = 1.0
        ends = autoregression.complete(ends, z, draw, encoding.snap, encoding.signless)
        return torch.where(x.isnan(), encoding.inverse(ends.flatten(1), draw=draw), x)

    def inverse(self, z, context=None, draw=None):
        draw = fresh_draw() if draw is None else draw
        encoding, autoregression = self.steps
        nothing = z.new_full((len(z), len(encoding.variables), 3), torch.nan)
        ends = autoregression.complete(nothing, z, draw, encoding.snap, encoding.signless)
        return encoding.inverse(ends.flatten(1), draw=draw)
