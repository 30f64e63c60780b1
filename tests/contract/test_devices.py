"""Every tensor is made on the device of its inputs: checked on ``meta``, and on CUDA if there."""

import pytest
import torch

from skflow.distributions import StandardNormal
from skflow.flow import Flow
from skflow.transforms.noise import shared_noise
from tests.contract.distributions import DISTRIBUTIONS
from tests.contract.randomness import generator
from tests.contract.transforms import CONTEXTUAL, TRANSFORMS, example_rows, size_of

DEVICES = ["meta", *(["cuda"] if torch.cuda.is_available() else [])]


BY_VALUES = {"table_autoregression"}  # rows with the same gaps go together


def rows(n, d, device):
    return torch.ones(n, d, dtype=torch.float64, device=device)


@pytest.mark.parametrize("device", DEVICES)
@pytest.mark.parametrize(
    ("name", "n_context"), [(n, 0) for n in sorted(TRANSFORMS)] + [(n, 2) for n in CONTEXTUAL]
)
def test_transforms_stay_on_their_device(name, n_context, device):
    if device == "meta" and name in BY_VALUES:
        pytest.skip("what is done depends on the values, and meta tensors have none")
    d = size_of(name)
    transform = TRANSFORMS[name].make(d, n_context).double()
    if n_context == 0:
        transform.initialize(example_rows(name, 40, d))
    transform = transform.eval().to(device)
    context = rows(5, n_context, device) if n_context else None
    x = rows(5, d, device)
    z, contribution = transform(x, context)
    flow = Flow([], [transform], StandardNormal(z.shape[1]).double().to(device))
    assert z.device.type == contribution.device.type == device
    assert transform.inverse(z, context).device.type == device
    assert flow.log_prob(x, context).device.type == device
    assert flow.sample(5, context).device.type == device


@pytest.mark.parametrize("device", DEVICES)
@pytest.mark.parametrize("name", sorted(DISTRIBUTIONS))
def test_distributions_stay_on_their_device(name, device):
    row = DISTRIBUTIONS[name]
    distribution = row.made(row.most).to(device)
    context = None if row.kind == "base" else row.context(row.most, 5).to(device)
    x = row.domain.extreme(row.most).expand(5, -1).to(device)
    assert distribution.log_prob(x, context).device.type == device
    assert distribution.sample(5, context).device.type == device


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
@pytest.mark.gpu
@pytest.mark.parametrize("name", sorted(TRANSFORMS))
def test_cuda_gives_the_cpus_numbers(name):
    d = size_of(name)
    transform = TRANSFORMS[name].make(d, 0).double()
    x, noise = example_rows(name, 40, d), shared_noise(generator())
    transform.eval().initialize(x, None, None, noise)
    z = transform(x, None, shared_noise(generator()))[0]
    on_cuda = transform.to("cuda")(x.to("cuda"), None, shared_noise(generator()))[0].cpu()
    torch.testing.assert_close(on_cuda, z, atol=1e-9, rtol=1e-9)
