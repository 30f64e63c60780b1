"""The kernels in Triton compile, for devices that need not be there; test_cuda.py runs this.

Triton is told which device it works for, so this runs in a process of its own.
"""

import pytest
import torch
import triton
from triton.backends.compiler import GPUTarget
from triton.runtime.jit import KernelInterface

from skflow.kernels import cuda, cuda_affine, cuda_spline


class Absent:
    """A driver for a device of the oldest kind."""

    def get_current_target(self):
        major, minor = cuda.OLDEST_DEVICE
        return GPUTarget("cuda", 10 * major + minor, 32)

    def get_current_device(self):
        return 0

    def get_current_stream(self, device):
        return 0


@pytest.fixture
def compiled(monkeypatch):
    """What is compiled where it would be launched."""
    found = []

    def instead_of_launching(kernel, grid):
        return lambda *a, **options: found.append(kernel.warmup(*a, grid=grid, **options))

    triton.runtime.driver.set_active(Absent())
    monkeypatch.setattr(KernelInterface, "__getitem__", instead_of_launching)
    return found


@pytest.mark.parametrize(
    ("module", "constants", "p", "dtype", "n"),
    [
        (cuda_spline, (4.7,), 23, torch.float32, 50),
        (cuda_spline, (4.7,), 23, torch.float64, 50),
        (cuda_spline, (4.7,), 2, torch.float32, 1),  # Triton compiles what is 1 into the code
        (cuda_affine, (), 2, torch.float64, 50),
        (cuda_affine, (), 2, torch.float32, 1),
    ],
)
def test_every_kernel_compiles_and_works_in_registers(compiled, module, constants, p, dtype, n):
    x, parameters = torch.zeros(n, 3, dtype=dtype).T, torch.zeros(p, 3, n, dtype=dtype)
    z, log_derivative = torch.empty_like(x), torch.empty_like(x)
    module.value_into(x, parameters, *constants, z, log_derivative)
    module.gradient_into(x, parameters, *constants, (z, log_derivative), x)
    module.inverse_into(z, parameters, *constants, x)
    assert len(compiled) == 3
    assert all("cubin" in one.asm and one.metadata.shared == 0 for one in compiled)
