"""A categorical column of a table as a variable, and back."""

import math

import torch
from torch import Tensor, nn

from skflow.data.column_plan import ColumnPlan
from skflow.distributions.categorical import Categorical
from skflow.transforms.noise import Draw
from skflow.transforms.tables.variable import Variable, three, unseen_share

MAX_CODES = 255  # levels of a category with a code of their own; the rarest share one


class CategoryColumn(nn.Module):
    """A categorical column: frequent levels have a code each, the rarest share the last one."""

    span = (-math.inf, math.inf)  # as of a numeric column: codes have no ends
    code: Tensor
    log_share: Tensor
    log_unseen: Tensor

    def __init__(self, plan: ColumnPlan, column: int):
        super().__init__()
        n_codes = min(plan.n_levels, MAX_CODES + 1)
        self.variables = [Variable(column, "value", "code", n_codes)] if n_codes > 1 else []
        self.n_codes = n_codes
        levels = torch.arange(plan.n_levels)
        self.register_buffer("code", levels.clamp_max(n_codes - 1))
        self.register_buffer("log_share", torch.zeros(plan.n_levels, dtype=torch.float64))
        self.register_buffer("log_unseen", torch.tensor([0.5, 0.5], dtype=torch.float64).log())

    @torch.no_grad()
    def initialize(self, x: Tensor, weight: Tensor) -> None:
        """Count the levels."""
        n_levels = len(self.code)
        counts = torch.zeros(n_levels, dtype=torch.float64)
        counts.index_add_(0, x.long(), weight)
        if n_levels > self.n_codes:
            order = counts.argsort(descending=True, stable=True)
            self.code[order] = torch.arange(n_levels).clamp_max(self.n_codes - 1)
            rare = order[self.n_codes - 1 :]
            share = counts[rare] + 0.5
            self.log_share[rare] = (share / share.sum()).log()
        unseen = unseen_share(counts)
        self.log_unseen.copy_(torch.tensor([1 - unseen, unseen], dtype=torch.float64).log())

    def encode(self, x: Tensor) -> tuple[list[Tensor], Tensor]:
        known = x >= 0
        level = torch.where(known, x, 0.0).long()
        log_known = self.log_unseen[0] + self.log_share[level]
        contribution = torch.where(known, log_known, self.log_unseen[1])
        contribution = torch.where(x.isnan(), 0.0, contribution)
        value = torch.where(known, self.code[level].to(x), torch.nan)
        return [three(value)] * len(self.variables), contribution

    def decode(self, variables: list[Tensor], n: int, draw: Draw) -> Tensor:
        if not variables:
            return self.log_share.new_zeros(n)
        own = self.code.argsort(stable=True)
        code = variables[0][:, 0]
        level = own[torch.where(code.isnan(), 0.0, code).long()]
        if len(self.code) > self.n_codes:
            rare = own[self.n_codes - 1 :]
            drawn = draw(Categorical(len(rare)), self.log_share[rare].expand(n, -1))[:, 0].long()
            level = torch.where(code == self.n_codes - 1, rare[drawn], level)
        return level.to(self.log_share)
