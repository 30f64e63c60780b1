"""An autoregressive density of the variables of a table, given any of them."""

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
)
from skflow.networks.block_masked_mlp import BlockMaskedMLP
from skflow.transforms.base import Transform
from skflow.transforms.noise import Draw
from skflow.transforms.tables.conditional_components import (
    N_ANGLES,
    Components,
    angle_components,
    no_components,
    score_components,
)
from skflow.transforms.tables.training_masks import training_masks
from skflow.transforms.tables.variable import Variable, three
from skflow.transforms.tables.variable_features import features, n_features, piece_ends

MIN_COMPONENTS = 8  # of a score's conditional density: classes are split into copies up to there
MIN_LEVEL = 1e-12  # of a latent's cumulated probability, and as far from one

Snap = Callable[[int, Tensor], Tensor]


class TableAutoregression(Transform):
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
        inputs = [n_features(v) for v in variables]
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
        self.register_buffer("steps", piece_ends())
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
        out = self.network(
            features(self.variables, ends, visible, self.steps.to(ends)),
            features(self.variables, ends, revealed, self.steps.to(ends)),
        )
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
        scores, angles = no_components(out), no_components(out)
        if self.scores:
            raw = torch.stack([parts[i] for i in self.scores], 1)
            log_weight = log_weight[:, self.scores]
            scores = score_components(raw, log_weight, means.mT, deviations.mT, self.n_copies)
        if self.angles:
            angles = angle_components(torch.stack([parts[i] for i in self.angles], 1))
        return log_levels, scores, angles

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

    def _forward(self, x, context, noise):
        ends = x.view(len(x), len(self.variables), 3)
        visible = ~ends[..., 0].isnan()
        revealed = torch.zeros_like(visible)
        if self.training and self.variables:
            visible, revealed = training_masks(
                visible, self.column_of, self.is_present, noise, self.start.means.dtype
            )
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

    def _inverse(self, z, context, draw):
        """Draw rows; by themselves, without an encoding, cells are the points drawn in them."""
        nothing = z.new_full((len(z), len(self.variables), 3), torch.nan)
        return self.complete(nothing, z, draw, lambda index, u: three(u)).flatten(1)
