"""`flowify`: an ordinary network becomes a normalizing flow with the same weights."""

import copy
import math
import warnings
from collections.abc import Iterator, Sequence
from itertools import chain

import torch
from torch import Tensor, nn

from skflow.transforms.base import Transform
from skflow.transforms.compose import Compose
from skflow.transforms.from_torch import DROPOUTS, from_torch, is_exactly
from skflow.transforms.wrapper import Wrapper

Shape = tuple[int, ...]


class Flowified(Wrapper):
    """A network as a transform, between rows of its own input and output shapes.

    Made by `flowify`. Either way rows may as well be flat.

    Parameters
    ----------
    transform : Transform
        The same on flat rows, as a `Flow` takes it.
    input_shape, output_shape : tuple of int
        Of one row.
    """

    def __init__(self, transform: Transform, input_shape: Shape, output_shape: Shape):
        super().__init__(transform.n_context)
        self.transform = transform
        self.input_shape = input_shape
        self.output_shape = output_shape

    @property
    def exact(self) -> bool:  # type: ignore[override]
        """Whether the contribution gives the likelihood itself."""
        return self.transform.exact

    @staticmethod
    def _flat(rows: Tensor, shape: Shape) -> Tensor:
        if rows.shape[1:] not in (shape, (math.prod(shape),)):
            raise ValueError(
                f"expected rows of shape {shape} or as many numbers flat, got {tuple(rows.shape)}"
            )
        return rows.reshape(rows.shape[0], math.prod(shape))

    def _run(self, x, context, noise, books):
        z = books.run(self.transform, self._flat(x, self.input_shape), context, noise)
        return z.reshape(len(z), *self.output_shape)

    def _inverse(self, z, context, draw):
        x = self.transform._inverse(self._flat(z, self.output_shape), context, draw)
        return x.reshape(len(x), *self.input_shape)

    def _initialize(self, x, weight, context, noise):
        # Fits decoders to rows x as far as that is cheap; imported weights stay.
        flat = self._flat(x, self.input_shape)
        z = self.transform._initialize(flat, weight, context, noise)
        return z.reshape(len(z), *self.output_shape)


def _leaves(module: nn.Module, path: str = "") -> Iterator[tuple[str, nn.Module]]:
    """The layers that nested `nn.Sequential` run, in order, with their paths."""
    if not is_exactly(module, nn.Sequential):
        yield path, module
        return
    for name, child in module._modules.items():  # named_children would skip a layer's second use
        yield from _leaves(child, f"{path}.{name}" if path else name)


@torch.no_grad()
def flowify(
    module: nn.Module,
    *,
    example_input: Tensor,
    hidden_layer_sizes: Sequence[int] = (64, 64),
    random_state: int | None = None,
) -> Flowified:
    r"""Turn an ordinary network into a transform with a likelihood contribution and an inverse.

    Every layer gets a stochastic inverse, and with that the network is a generalised normalizing
    flow: with a base density of its outputs, it has a density of its inputs. The weights are
    imported; on the mean path (``noise=no_noise``) the result is ``module.eval()``.

    =======================  =======================================================================
    layer                    becomes
    =======================  =======================================================================
    Linear                   rotation, scaling, rotation; dropped dimensions get a decoder
                             :math:`p(x_-|z)`, added ones Gaussian noise
    Conv2d                   the same at every position, after padding with noise and copying the
                             pixels that windows share; no groups, no dilation, zero padding
    AvgPool2d                a fixed orthogonal transform of every window, of which the constant is
                             kept; no padding
    MaxPool2d                the maximum, and a decoder of the distances to it; stride equal to the
                             kernel size, no padding
    BatchNorm1d, 2d          an affine map by the running statistics
    LeakyReLU, PReLU         themselves, if the slope is positive
    Flatten, Unflatten       another shape
    Identity, Dropout        nothing
    Sequential, nested       the layers one after the other; a layer used twice becomes two
    =======================  =======================================================================

    Everything else is refused: there would be no density to speak of, or no inverse.

    Parameters
    ----------
    module : torch.nn.Module
        Is left as it is.
    example_input : Tensor of shape (n, ...)
        A batch for the module; only its shape counts.
    hidden_layer_sizes : sequence of int, default=(64, 64)
        Of the networks behind decoders and noise, which are new and start at a standard normal.
        `Flowified.initialize` fits a Gaussian to data.
    random_state : int or None, default=None
        Seed of their initial weights.

    Returns
    -------
    Flowified
        In evaluation mode, with the dtype and the device of the module. ``exact`` says whether its
        contribution gives the likelihood itself: if no layer widens, pads or has overlapping
        windows.

    Raises
    ------
    ValueError
        If a layer cannot be flowified; the message names it.

    References
    ----------
    Máté, Klein, Golling, Fleuret (2022), "Flowification: Everything is a normalizing flow",
    arXiv:2205.15209.

    Examples
    --------
    >>> import torch
    >>> from torch import nn
    >>> from skflow import flowify
    >>> net = nn.Sequential(nn.Linear(4, 3), nn.LeakyReLU(0.1), nn.Linear(3, 2))
    >>> flowified = flowify(net, example_input=torch.zeros(1, 4), random_state=0)
    >>> flowified.exact
    True
    >>> x = torch.ones(5, 4)
    >>> z, contribution = flowified(x)
    >>> torch.allclose(z, net(x), atol=1e-5)
    True
    >>> flowified.inverse(z).shape
    torch.Size([5, 4])
    """
    generator = torch.Generator()
    if random_state is None:
        generator.seed()
    else:
        generator.manual_seed(random_state)
    for path, layer in module.named_modules():
        lazy = isinstance(layer, nn.modules.lazy.LazyModuleMixin)  # refused with its own reason
        if not lazy and (layer._forward_hooks or layer._forward_pre_hooks):
            raise ValueError(
                f"layer {path!r} ({type(layer).__name__}): a forward hook may change what it does; "
                "remove the hook (for weight norm, torch.nn.utils.remove_weight_norm)."
            )
    module = copy.deepcopy(module).eval()
    numbers = (t for t in chain(module.parameters(), module.buffers()) if t.is_floating_point())
    like = next(numbers, example_input)
    x = torch.zeros(1, *example_input.shape[1:], dtype=like.dtype, device=like.device)
    options = {"hidden_layer_sizes": hidden_layer_sizes, "generator": generator}
    input_shape = tuple(x.shape[1:])
    steps: list[Transform] = []
    for path, layer in _leaves(module):
        where = f"layer {path!r} ({type(layer).__name__})" if path else type(layer).__name__
        try:
            steps += from_torch(layer, x, options)
        except ValueError as error:
            raise ValueError(f"{where}: {error}.") from None
        if isinstance(layer, DROPOUTS):
            message = f"{where}: becomes the identity; a likelihood needs no dropout."
            warnings.warn(message, UserWarning, stacklevel=3)
        x = layer(x)
    return Flowified(Compose(steps).to(like), input_shape, tuple(x.shape[1:])).eval()
