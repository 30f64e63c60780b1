"""Categorical columns as variables, and back."""

import math

import numpy as np
import pytest
import torch

from skflow.data.column_plan import ColumnPlan
from skflow.transforms.tables.category_column import MAX_CODES
from tests.transforms.tables.columns import make, there_and_back

LIKE = {"dtype": torch.float64}
NAN = math.nan


def test_an_unknown_category_has_a_probability_and_no_code():
    x = torch.tensor([0.0, 0.0, 0.0, 1.0, 1.0, 2.0, NAN, -1.0], **LIKE)
    column = make(ColumnPlan("categorical", n_levels=4), x)
    (code,), contribution = column.encode(torch.tensor([0.0, 3.0, -1.0, NAN], **LIKE))
    assert code[:2, 0].tolist() == [0.0, 3.0]
    assert code[2:].isnan().all()
    known, unknown = contribution[0].exp(), contribution[2].exp()
    assert abs(known + unknown - 1) < 1e-12
    assert abs(unknown - 2 / 9) < 1e-12  # one of six was seen once: (1 + 1) / (6 + 1 + 2)
    assert contribution[1] == contribution[0]


def test_a_category_of_one_level_is_no_variable():
    column = make(ColumnPlan("categorical", n_levels=1), torch.zeros(10, **LIKE))
    assert column.variables == []
    assert (there_and_back(column, torch.zeros(3, **LIKE)) == 0).all()
    assert column.encode(torch.tensor([0.0, -1.0], **LIKE))[1].exp().sum() == pytest.approx(1)


def test_rare_categories_share_a_code_and_their_probabilities_add_up():
    n_levels = 400
    r = np.random.RandomState(0)
    p = 1 / (1 + r.permutation(n_levels))
    x = torch.tensor(r.choice(n_levels, 5_000, p=p / p.sum())).double()
    column = make(ColumnPlan("categorical", n_levels=n_levels), x)
    assert column.variables[0].n_levels == MAX_CODES + 1
    levels = torch.arange(n_levels, **LIKE)
    (code,), contribution = column.encode(levels)
    share = (contribution - column.log_unseen[0]).exp()
    total = torch.zeros(MAX_CODES + 1, **LIKE).index_add_(0, code[:, 0].long(), share)
    torch.testing.assert_close(total, torch.ones(MAX_CODES + 1, **LIKE))
    counts = torch.bincount(x.long(), minlength=n_levels)
    rare = code[:, 0] == MAX_CODES
    assert rare.sum() == n_levels - MAX_CODES
    assert counts[rare].max() <= counts[~rare].min()
    # Frequent ones come back; rare ones come back as any of the rare, by their shares.
    back = there_and_back(column, levels)
    assert torch.equal(back[~rare], levels[~rare])
    one = levels[rare][:1].expand(20_000)
    drawn = torch.bincount(there_and_back(column, one).long(), minlength=n_levels)
    assert (drawn[~rare] == 0).all()
    expected = 20_000 * share[rare]
    assert (((drawn[rare] - expected) ** 2 / expected).mean()) < 1.4


def test_as_many_levels_as_codes_have_one_each():
    for n_levels in (MAX_CODES, MAX_CODES + 1):
        x = torch.arange(n_levels, **LIKE)
        column = make(ColumnPlan("categorical", n_levels=n_levels), x)
        assert torch.equal(there_and_back(column, x), x)
        assert (column.log_share == 0).all()
