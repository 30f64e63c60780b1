"""Which implementation of a kernel works: the first twin that takes what is given.

A kernel has a meaning, which its readable reference states, and twins that compute the same faster
for some inputs: compiled code for rows on the CPU, kernels in Triton for those on a CUDA device,
torch operations with an analytic gradient. Who needs the function calls the kernel and knows
nothing of this.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from skflow.kernels import (
    affine,
    coupling,
    cuda,
    cuda_affine,
    cuda_spline,
    fused_spline,
    mixture,
    native,
    native_affine,
    native_coupling,
    native_mixture,
    native_spline,
    rational_quadratic,
    shared_spline,
)
from skflow.kernels.mixture_climb import mixture_climb as reference_climb


@dataclass(frozen=True)
class Twin:
    """A faster implementation, and whether it takes given inputs."""

    function: Callable[..., Any]
    takes: Callable[..., bool]


@dataclass(frozen=True)
class Kernel:
    """One function with several implementations, called as its reference is.

    Attributes
    ----------
    reference : callable
        States what the function is; takes any input.
    twins : tuple of Twin
        Fastest first.
    """

    reference: Callable[..., Any]
    twins: tuple[Twin, ...]

    def __call__(self, *inputs: Any) -> Any:
        return self.chosen(*inputs)(*inputs)

    def chosen(self, *inputs: Any) -> Callable[..., Any]:
        """The implementation that works for these inputs."""
        for twin in self.twins:
            if twin.takes(*inputs):
                return twin.function
        return self.reference


spline_forward = Kernel(
    rational_quadratic.spline_forward,
    (
        Twin(shared_spline.spline_forward, shared_spline.takes),
        Twin(native_spline.spline_forward, native.takes_elements),
        Twin(cuda_spline.spline_forward, cuda.takes_elements),
        Twin(fused_spline.spline_forward, fused_spline.takes),
    ),
)
spline_inverse = Kernel(
    rational_quadratic.spline_inverse,
    (
        Twin(native_spline.spline_inverse, native.takes_elements),
        Twin(cuda_spline.spline_inverse, cuda.takes_elements),
    ),
)
affine_forward = Kernel(
    affine.affine_forward,
    (
        Twin(native_affine.affine_forward, native.takes_elements),
        Twin(cuda_affine.affine_forward, cuda.takes_elements),
    ),
)
affine_inverse = Kernel(
    affine.affine_inverse,
    (Twin(cuda_affine.affine_inverse, cuda.takes_elements),),
)
couplings_forward = Kernel(
    coupling.couplings,
    (Twin(native_coupling.couplings_at_once, native_coupling.takes),),
)
mixture_log_prob = Kernel(
    mixture.mixture_log_prob,
    (Twin(native_mixture.mixture_log_prob, native_mixture.takes),),
)
mixture_climb = Kernel(
    reference_climb,
    (Twin(native_mixture.mixture_climb, native_mixture.takes_climb),),
)
