"""The CUDA twin of the affine map."""

import torch
from torch import Tensor

from skflow.kernels import affine as readable
from skflow.kernels.cuda import launch, place
from skflow.kernels.elements import forward_at_once, inverse_at_once

ROWS = 128  # four for every thread


def value_into(x: Tensor, parameters: Tensor, z: Tensor, log: Tensor) -> None:
    """Write z and the log-derivative where they are to be."""
    from skflow.kernels.triton_affine import affine_forward as kernel

    launch(kernel, (place(x), place(parameters), (place(z), place(log))), x.shape, ROWS, ROWS)


def gradient_into(
    x: Tensor, parameters: Tensor, grads: tuple[Tensor, Tensor], grad_x: Tensor
) -> Tensor:
    """Write the gradient of x where it is to be; return that of the parameters."""
    from skflow.kernels.triton_affine import affine_backward as kernel

    grad_parameters = torch.empty_like(parameters)
    upstream, results = tuple(map(place, grads)), (place(grad_x), place(grad_parameters))
    launch(kernel, (place(x), place(parameters), upstream, results), x.shape, ROWS, ROWS)
    return grad_parameters


def inverse_into(z: Tensor, parameters: Tensor, x: Tensor) -> None:
    """Write x where it is to be."""
    from skflow.kernels.triton_affine import affine_inverse as kernel

    launch(kernel, (place(z), place(parameters), place(x)), z.shape, ROWS, ROWS)


affine_forward = forward_at_once(value_into, gradient_into, readable.affine_forward)
affine_inverse = inverse_at_once(inverse_into, value_into, gradient_into, readable.affine_inverse)
