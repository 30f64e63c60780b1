"""The compiled kernels, where this installation has them.

They are built when skflow is installed on a machine with a C compiler. Without them everything
works, slower.
"""

import torch
from torch import Tensor

from skflow.kernels.elements import have_own_parameters

try:
    from skflow.kernels import _native as compiled
except ImportError:
    compiled = None  # type: ignore[assignment]


def takes_tensors(*tensors: Tensor) -> bool:
    """Whether compiled code may read these: on the CPU, of one of its two precisions."""
    dtype = tensors[0].dtype
    return (
        compiled is not None
        and dtype in (torch.float32, torch.float64)
        and all(t.dtype == dtype and t.device.type == "cpu" and not t.is_neg() for t in tensors)
        and not torch.compiler.is_compiling()
    )


def takes_elements(x: Tensor, parameters: Tensor, *constants: float) -> bool:
    """Whether every element of x (m, n) has parameters of its own, and all of it is in reach."""
    return have_own_parameters(x, parameters) and takes_tensors(x, parameters)


def place(x: Tensor) -> tuple[int, int, int]:
    """Where the elements (column, row) of x are: address, stride of columns, stride of rows."""
    return x.data_ptr(), *x.stride()
