"""Flow: transforms on a base, as a torch module."""

import pytest
import torch

from skflow.distributions import StandardNormal
from skflow.flow import Flow
from skflow.transforms import Affine, Bound, Coupling, MarginalSpline, Standardize, Whiten
from tests.contract.table import generator


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_a_flow_has_one_dtype(dtype):
    lower = torch.full((4,), -10.0)
    layers = [Bound(lower, torch.full((4,), torch.inf)), Standardize(4), MarginalSpline(4, 8)]
    flow = Flow([], [*layers, Whiten(4), Coupling(4, Affine())], StandardNormal(4)).to(dtype)
    x = torch.randn(50, 4, generator=generator()).to(dtype)
    assert flow.log_prob(x).dtype == dtype
    flow.learned.initialize(x)
    assert flow.log_prob(x).dtype == dtype
    assert flow.encode(x).dtype == flow.decode(flow.encode(x)).dtype == dtype
    assert flow.sample(3, generator=generator()).dtype == dtype


def test_a_flow_is_in_the_default_dtype_as_it_is_built():
    flow = Flow([], [Standardize(4), Coupling(4, Affine())], StandardNormal(4))
    assert flow.log_prob(torch.ones(5, 4)).dtype == torch.float32
