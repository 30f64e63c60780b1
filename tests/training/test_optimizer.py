"""The steps are those of torch's AdamW, without what its class imports."""

import subprocess
import sys

import pytest
import torch
from torch import nn

from skflow.training.flat import FlatWeights
from skflow.training.optimizer import BETAS, EPSILON, WARMUP_STEPS, Optimizer
from skflow.training.settings import Settings

SETTINGS = Settings(max_iter=1, batch_size=1, learning_rate_init=0.1, weight_decay=0.05)
X = torch.linspace(-1, 1, 12).view(4, 3)


def layer_and_weights():
    layer = nn.Linear(3, 2).double()
    with torch.no_grad():
        layer.weight.copy_(torch.arange(6.0).view(2, 3))
        layer.bias.fill_(0.3)
    return layer, FlatWeights({"matrices": [layer.weight], "rest": [layer.bias]})


def gradient(layer):
    (layer(X.double()) ** 2).mean().backward()  # not steep


def test_steps_are_those_of_torch():
    layer, weights = layer_and_weights()
    optimizer = Optimizer(weights, SETTINGS)
    twin, _ = layer_and_weights()
    reference = torch.optim.AdamW(
        [{"params": [twin.weight], "weight_decay": 0.05}, {"params": [twin.bias]}],
        weight_decay=0.0, betas=BETAS, eps=EPSILON,
    )  # fmt: skip
    for step in range(1, 6):
        for group in reference.param_groups:
            group["lr"] = 0.1 * 0.5 * step / WARMUP_STEPS
        weights.zero_gradient()
        gradient(layer)
        optimizer.step(0.5)
        twin.zero_grad(set_to_none=False)
        gradient(twin)
        reference.step()
        assert optimizer.rate == pytest.approx(0.05 * step / WARMUP_STEPS)
        for a, b in zip(layer.parameters(), twin.parameters(), strict=True):
            torch.testing.assert_close(a, b, atol=1e-12, rtol=1e-12)


def test_a_kept_state_goes_on_as_if_nothing_had_come_between():
    def after(n_steps, layer, weights, state=None):
        optimizer = Optimizer(weights, SETTINGS)
        if state is not None:
            optimizer.load_state_dict(state)
        for _ in range(n_steps):
            weights.zero_gradient()
            gradient(layer)
            optimizer.step(1.0)
        return optimizer.state_dict()

    whole, in_pieces = layer_and_weights(), layer_and_weights()
    after(5, *whole)
    after(2, *in_pieces, after(3, *in_pieces))
    assert torch.equal(whole[0].weight, in_pieces[0].weight)


def test_a_fit_does_not_import_a_compiler():
    code = (
        "import sys, numpy; from skflow import NormalizingFlow; "
        "NormalizingFlow(max_iter=1).fit(numpy.random.default_rng(0).normal(size=(60, 2))); "
        "sys.exit('torch._dynamo' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-W", "ignore", "-c", code], check=False).returncode == 0


def test_a_kept_state_knows_what_length_is_usual():
    _, weights = layer_and_weights()
    optimizer, later = (Optimizer(weights, SETTINGS) for _ in range(2))

    def length_of_step(optimizer):
        weights.gradient.fill_(1e3)
        optimizer.step(0.0)
        return float(weights.gradient_norm())

    for _ in range(100):
        length = length_of_step(optimizer)
    assert length_of_step(later) < 0.1 * length  # a new one takes it for steep
    later.load_state_dict(optimizer.state_dict())
    assert length_of_step(later) == length
