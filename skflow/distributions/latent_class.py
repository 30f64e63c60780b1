"""A mixture over codes and scores at once: the classical density of a mixed table."""

import math

import torch
from torch import Tensor, nn

from skflow.distributions.normal import LOG_SQRT_2PI

REGULARISATION = 1e-5  # added to variances, in squared scores
SHARED_ROWS = 1.0  # rows' worth of the pooled covariance, and of the marginals, in every class
FEW_PATTERNS = 24  # of absent scores: so many are taken one by one, more all at once
MAX_BITS = 62
MIN_GAIN = 1e-3  # nats per iteration, below which the iteration ends


def by_pattern(matrices: Tensor, x: Tensor, which: Tensor) -> Tensor:
    """Matrix ``which`` of (P, K, d, d) times the vectors x (n, K, d)."""
    if len(matrices) > FEW_PATTERNS:
        return (matrices[which] * x[..., None, :]).sum(-1)
    product = torch.empty_like(x)
    for i, matrix in enumerate(matrices):
        rows = (which == i).nonzero()[:, 0]
        product[rows] = (x[rows].movedim(0, 1) @ matrix.mT).movedim(0, 1)
    return product


def distinct_patterns(flags: Tensor) -> tuple[Tensor, Tensor]:
    """Distinct rows of flags (n, m), and which of them each row is."""
    if flags.shape[1] > MAX_BITS:
        return torch.unique(flags, dim=0, return_inverse=True)
    bits = 2 ** torch.arange(flags.shape[1], device=flags.device)
    packed, which = torch.unique((flags * bits).sum(1), return_inverse=True)
    return (packed[:, None] & bits) > 0, which


class LatentClass(nn.Module):
    r"""Classes with independent codes and a full Gaussian of the scores; any cell may be absent.

    .. math:: p(c, u) = \sum_k w_k \prod_i \pi_{k,i}(c_i) \, N(u; \mu_k, \Sigma_k)

    Absent codes and scores are integrated out. `conditionals` gives what every variable is, class
    by class, given others. Fitted by expectation maximisation, then constant.

    Parameters
    ----------
    n_classes : int
    n_levels : sequence of int
        Levels of each code.
    n_scores : int

    References
    ----------
    Hunt, Jorgensen (2003), "Mixture model clustering for mixed data with missing information".
    """

    log_weight: Tensor
    log_levels: Tensor
    means: Tensor
    covariances: Tensor

    def __init__(self, n_classes: int, n_levels: list[int], n_scores: int):
        super().__init__()
        self.n_levels = list(n_levels)
        offsets = [sum(n_levels[:i]) for i in range(len(n_levels))]
        self.register_buffer("offsets", torch.tensor(offsets, dtype=torch.long), persistent=False)
        like = {"dtype": torch.float64}
        self.register_buffer(
            "log_weight", torch.full((n_classes,), -math.log(max(n_classes, 1)), **like)
        )
        levels = [torch.full((n_classes, n), -math.log(n), **like) for n in n_levels]
        self.register_buffer("log_levels", torch.cat([*levels, torch.zeros(n_classes, 0)], 1))
        self.register_buffer("means", torch.zeros(n_classes, n_scores, **like))
        eye = torch.eye(n_scores, **like).repeat(n_classes, 1, 1)
        self.register_buffer("covariances", eye)

    @property
    def n_classes(self) -> int:
        """Number of classes."""
        return len(self.log_weight)

    def log_codes(self, codes: Tensor, seen: Tensor) -> Tensor:
        """Log-probability of every code in every class, 0 where not seen: (n, codes, K)."""
        index = self.offsets + torch.where(seen, codes, 0.0).long()
        return self.log_levels.T[index] * seen[..., None]

    def _factors(self, seen: Tensor, order: Tensor) -> tuple[Tensor, Tensor]:
        """Triangular factors of the covariances in ``order``, absent scores as independent ones.

        For patterns (P, d): the factors and their inverses, (P, K, d, d).
        """
        p, d = seen.shape
        k = self.n_classes
        rows = self.covariances[:, order]  # (K, P, d, d): rows permuted
        permuted = rows.gather(3, order[None, :, None, :].expand(k, p, d, d)).movedim(0, 1)
        here = seen.gather(1, order).to(permuted)
        both = here[:, None, :, None] * here[:, None, None, :]
        eye = torch.eye(d, dtype=permuted.dtype, device=permuted.device)
        permuted = permuted * both + (1 - here)[:, None, :, None] * eye
        factor = torch.linalg.cholesky_ex(permuted)[0]
        inverse = torch.linalg.solve_triangular(factor, eye.expand_as(factor), upper=False)
        return factor, inverse

    def conditionals(
        self, scores: Tensor, seen: Tensor, first: Tensor
    ) -> tuple[Tensor, Tensor, Tensor]:
        """Every score given the seen ones before it, where those of ``first`` come first.

        Parameters
        ----------
        scores : Tensor of shape (n, d)
        seen, first : bool Tensor of shape (n, d)

        Returns
        -------
        mean, deviation, log_prob : Tensors of shape (n, K, d)
            The log-density is 0 for a score that is not seen.
        """
        n, d = scores.shape
        if d == 0:
            empty = scores.new_zeros(n, self.n_classes, 0)
            return empty, empty, empty
        patterns, which = distinct_patterns(torch.cat([seen, first], 1))
        pattern_seen, pattern_first = patterns[:, :d], patterns[:, d:]
        order = (~(pattern_first & pattern_seen)).to(torch.int8).argsort(dim=1, stable=True)
        factor, inverse = self._factors(pattern_seen, order)
        row_order = order[which]
        x = torch.where(seen, scores, 0.0)[:, None] - self.means
        x = torch.where(seen[:, None], x, 0.0)
        k = self.n_classes
        wide = row_order[:, None].expand(n, k, d)
        residual = by_pattern(inverse, x.gather(2, wide), which)
        diagonal = factor.diagonal(dim1=2, dim2=3)[which]
        explained = by_pattern(factor, residual, which) - diagonal * residual
        back = row_order.argsort(1)[:, None].expand(n, k, d)
        log_prob = -0.5 * residual * residual - diagonal.log() - LOG_SQRT_2PI
        mean = self.means + explained.gather(2, back)
        log_prob = torch.where(seen[:, None], log_prob.gather(2, back), 0.0)
        return mean, diagonal.gather(2, back), log_prob

    def log_joint(self, codes: Tensor, scores: Tensor) -> Tensor:
        """Log of class weight times density, absent entries (NaN) integrated out: (n, K)."""
        seen = ~scores.isnan()
        log_scores = self.conditionals(scores, seen, torch.zeros_like(seen))[2].sum(2)
        log_codes = self.log_codes(codes, ~codes.isnan()).sum(1)
        return self.log_weight + log_codes + log_scores

    @torch.no_grad()
    def fit(
        self,
        codes: Tensor,
        scores: Tensor,
        weight: Tensor,
        responsibility: Tensor,
        max_iter: int,
    ) -> None:
        """Expectation maximisation from first responsibilities (n, K)."""
        marginal = self._level_counts(codes, weight[:, None])[0]
        marginal = (marginal + 0.5 / self._widths()) / (self._per_code_total(marginal) + 0.5)
        last = -math.inf
        for step in range(max_iter):
            if step:
                joint = self.log_joint(codes, scores)
                total = joint.logsumexp(1)
                responsibility = (joint - total[:, None]).exp()
                score = float((total * weight).sum() / weight.sum())
                if score - last < MIN_GAIN:
                    break
                last = score
            self._maximise(codes, scores, responsibility * weight[:, None], marginal)

    def _widths(self) -> Tensor:
        sizes = torch.tensor(self.n_levels, dtype=torch.long)
        return sizes.repeat_interleave(sizes).to(torch.float64)

    def _per_code_total(self, counts: Tensor) -> Tensor:
        """Sum over the levels of each code, at each of its levels."""
        parts = counts.split(self.n_levels, -1)
        totals = [part.sum(-1, keepdim=True).expand_as(part) for part in parts]
        return torch.cat([*totals, counts[..., :0]], -1)

    def _level_counts(self, codes: Tensor, weight: Tensor) -> Tensor:
        """Weighted counts of all levels: (K, levels) for weights (n, K)."""
        counts = weight.new_zeros(weight.shape[1], sum(self.n_levels))
        for i, offset in enumerate(self.offsets.tolist()):
            here = ~codes[:, i].isnan()
            counts.index_add_(1, offset + codes[here, i].long(), weight[here].T)
        return counts

    def _maximise(self, codes, scores, weight, marginal) -> None:
        size = weight.sum(0)
        self.log_weight.copy_(((size + 1e-3) / (size + 1e-3).sum()).log())
        if self.n_levels:
            counts = self._level_counts(codes, weight) + SHARED_ROWS * marginal
            self.log_levels.copy_((counts / self._per_code_total(counts)).log())
        if not scores.shape[1]:
            return
        filled, spread = self._expected(scores, weight)
        total = size.clamp_min(1e-12)
        mean = torch.einsum("nk,nkd->kd", weight, filled) / total[:, None]
        centred = filled - mean
        square = torch.einsum("nk,nkd,nke->kde", weight, centred, centred) + spread
        pooled = square.sum(0) / size.sum()
        eye = torch.eye(scores.shape[1], dtype=scores.dtype)
        shared = SHARED_ROWS * (pooled if self.n_classes > 1 else pooled * eye)
        covariance = (square + shared) / (size + SHARED_ROWS)[:, None, None]
        self.means.copy_(mean)
        self.covariances.copy_(covariance + REGULARISATION * eye)

    def _expected(self, scores: Tensor, weight: Tensor) -> tuple[Tensor, Tensor]:
        """Scores with absent ones at their conditional means (n, K, d), and what those leave open.

        The second is the weighted sum of conditional covariances, (K, d, d).
        """
        n, d = scores.shape
        k = self.n_classes
        seen = ~scores.isnan()
        if bool(seen.all()):
            return scores[:, None].expand(n, k, d), scores.new_zeros(k, d, d)
        patterns, which = distinct_patterns(seen)
        order = torch.arange(d).expand(len(patterns), d)
        inverse = self._factors(patterns, order)[1]
        here = patterns.to(scores)[:, None, None, :]
        # (P, K, d, d): from seen residuals to conditional means of all scores.
        gain = (self.covariances * here) @ (inverse.mT @ inverse)
        x = torch.where(seen, scores, 0.0)[:, None] - self.means
        x = torch.where(seen[:, None], x, 0.0)
        expected = self.means + by_pattern(gain, x, which)
        filled = torch.where(seen[:, None], scores[:, None], expected)
        open_ = self.covariances - gain @ (self.covariances * here.mT)
        absent = 1 - here
        open_ = open_ * absent * absent.mT
        share = weight.new_zeros(len(patterns), k).index_add_(0, which, weight)
        return filled, torch.einsum("pk,pkde->kde", share, open_)
