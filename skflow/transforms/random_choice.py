"""Random choices of a right inverse, and a gradient through them."""

import torch
from torch import Tensor


def drawn_choice(log_p: Tensor, eps: Tensor) -> tuple[Tensor, Tensor]:
    r"""Draw one of K alternatives by Gumbel's trick from standard normal numbers.

    The values are those of the draw. The gradients are those of expectations, as far as one draw
    tells: a function f of the one-hot choice D passes on

    .. math::
        \tfrac12 \sum_k \frac{\partial f}{\partial D_k} \nabla p_k
        + \tfrac12 \frac{\partial f}{\partial D} \cdot (D - p) \; \nabla \log p_D,

    which on average is the gradient of E f for quadratic f (the trapezoid rule between every two
    alternatives); the log-probability passes on the gradient of its mean, minus the entropy, where
    its own would be noise around zero. Without this a bound would not teach the distribution
    anything: a choice has no derivative.

    Parameters
    ----------
    log_p : Tensor of shape (..., K)
        Normalised log-probabilities.
    eps : Tensor of shape (..., K)
        All zero, they choose the likeliest alternative, of equal ones the first.

    Returns
    -------
    one_hot : Tensor of shape (..., K)
    log_q : Tensor of shape (...)
        Log-probability of what was chosen.

    References
    ----------
    Liu, Dong, Liu, Yu, Gao (2023), "Bridging Discrete and Backpropagation: Straight-Through and
    Beyond", arXiv:2304.08612.
    """
    exponential = (-torch.special.log_ndtr(eps)).clamp_min(torch.finfo(eps.dtype).tiny)
    index = (log_p - exponential.log()).argmax(-1, keepdim=True)
    one_hot = torch.zeros_like(log_p).scatter(-1, index, 1.0)
    log_q = log_p.gather(-1, index)
    p = log_p.exp()
    slope = 0.5 * p + 0.5 * (one_hot - p).detach() * log_q
    minus_entropy = (p * log_p).sum(-1)
    # What is added is exactly zero: only its gradient counts.
    one_hot = one_hot + (slope - slope.detach())
    return one_hot, log_q[..., 0].detach() + (minus_entropy - minus_entropy.detach())
