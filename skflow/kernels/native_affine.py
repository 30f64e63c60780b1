"""The compiled twin of the affine map."""

import torch
from torch import Tensor

from skflow.kernels import affine as readable
from skflow.kernels.elements import forward_at_once
from skflow.kernels.native import compiled, place


def value_into(x: Tensor, parameters: Tensor, z: Tensor, log: Tensor) -> None:
    """Write z and the log-derivative where they are to be; ``log`` is contiguous."""
    compiled.affine_forward(
        x.dtype == torch.float64, *place(x), parameters.data_ptr(), *place(z), log.data_ptr(),
        *x.shape,
    )  # fmt: skip


def gradient_into(
    x: Tensor, parameters: Tensor, grads: tuple[Tensor, Tensor], grad_x: Tensor
) -> Tensor:
    """Write the gradient of x where it is to be; return that of the parameters."""
    grad_parameters = torch.empty_like(parameters)
    compiled.affine_backward(
        x.dtype == torch.float64, *place(x), parameters.data_ptr(), *place(grads[0]),
        *place(grads[1]), *place(grad_x), grad_parameters.data_ptr(), *x.shape,
    )  # fmt: skip
    return grad_parameters


affine_forward = forward_at_once(value_into, gradient_into, readable.affine_forward)
