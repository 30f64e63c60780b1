"""A stack of couplings or autoregressive maps that starts as the identity."""

from collections.abc import Sequence

import torch

from skflow.transforms import (
    Additive,
    Affine,
    Autoregressive,
    Compose,
    Coupling,
    CouplingStack,
    Family,
    Permutation,
    RationalQuadratic,
    Transform,
)


def make_family(kind: str, n_bins: int) -> Family:
    """The elementwise family of this name."""
    families: dict[str, Family] = {
        "spline": RationalQuadratic(n_bins),
        "affine": Affine(),
        "additive": Additive(),
    }
    return families[kind]


def network_sizes(hidden_layer_sizes, n_rows: int) -> list[int]:
    """Resolve "auto" by the number of rows: two layers that they can feed."""
    if isinstance(hidden_layer_sizes, str):
        return 2 * [128 if n_rows >= 5000 else 64 if n_rows >= 500 else 32]
    sizes = [int(size) for size in hidden_layer_sizes]
    if any(size < 1 for size in sizes):
        raise ValueError(f"hidden layers must have positive sizes, got {sizes}.")
    return sizes


def coupling_stack(
    n_features: int,
    n_layers: int,
    family: Family,
    hidden_layer_sizes: Sequence[int],
    generator: torch.Generator | None,
    *,
    build: type[Coupling] | type[Autoregressive] = Coupling,
) -> Transform:
    """Random orders of the columns with a layer after each, and back to the first order."""
    orders, layers = [], []
    order = torch.arange(n_features)
    for _ in range(n_layers):
        orders.append(Permutation(n_features, generator=generator))
        order = order[orders[-1].order]
        layers.append(
            build(n_features, family, hidden_layer_sizes=hidden_layer_sizes, generator=generator)
        )
    # Back to the columns' own order, in which the base was fitted.
    orders.append(Permutation(n_features, order=order.argsort()))
    if build is Coupling and layers:
        return CouplingStack(orders, layers)
    between = [step for pair in zip(orders, layers, strict=False) for step in pair]
    return Compose([*between, orders[-1]])
