"""Kernels in Triton, for tensors on a CUDA device on which they work.

Builds of torch for CUDA bring Triton on Linux; it is imported when the first such tensor comes.
Without it everything works, slower.
"""

from functools import cache
from typing import Any

import torch
from torch import Tensor

from skflow.kernels.elements import have_own_parameters

OLDEST_TRITON = (3, 7)  # what the kernels are tested with
OLDEST_DEVICE = (8, 0)  # compute capability from which on Triton supports devices


def takes_elements(x: Tensor, parameters: Tensor, *constants: float) -> bool:
    """Whether every element of x (m, n) has parameters of its own, and kernels reach all of it."""
    return (
        x.device.type == "cuda"
        and x.dtype in (torch.float32, torch.float64)
        and have_own_parameters(x, parameters)
        and (parameters.device, parameters.dtype) == (x.device, x.dtype)
        and not torch.compiler.is_compiling()
        and works_on(x.device)
    )


@cache
def works_on(device: torch.device) -> bool:
    """Whether Triton is installed and makes kernels for a device, for which it needs a compiler."""
    if torch.cuda.get_device_capability(device) < OLDEST_DEVICE:
        return False
    try:
        import triton

        if tuple(int(part) for part in triton.__version__.split(".")[:2]) < OLDEST_TRITON:
            return False
        from skflow.kernels import cuda_affine

        one = torch.ones(1, 1, device=device)
        cuda_affine.inverse_into(one, torch.zeros(2, 1, 1, device=device), torch.empty_like(one))
    except Exception:  # whatever keeps Triton from working, torch's own operations do without it
        return False
    return True


def launch(kernel: Any, places: tuple[Any, ...], shape: torch.Size, rows: int, how: Any) -> None:
    """Run a kernel over elements of a shape (m, n), in programs of some rows of a column.

    Parameters
    ----------
    kernel : callable
        Takes the places, then n and ``how``, which is known when it is compiled.
    places : tuple
        See `place`.
    shape : torch.Size
    rows : int
        For one program, which is one warp.
    how : int or tuple
    """
    m, n = shape
    with torch.cuda.device_of(places[0][0]):
        # Fused as the compilers of C are told to; newer versions of Triton want it said.
        kernel[(m * -(-n // rows),)](*places, n, how, num_warps=1, enable_fp_fusion=True)


def place(x: Tensor) -> tuple[Any, ...]:
    """Where elements are: the first one, and the strides."""
    return x, *x.stride()
