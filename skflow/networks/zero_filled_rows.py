"""A network on whole rows, for a layer that has only some of the columns and wants some others."""

from torch import Tensor, nn


class ZeroFilledRows(nn.Module):
    """Columns go to their places in a row of zeros; of what a network gives, some are taken.

    With a checkerboard of an image's pixels this is the conditioner of RealNVP's masked coupling.

    Parameters
    ----------
    network : Module
        From rows (n, n_columns) to parameters (n_parameters, n_outputs, n).
    n_columns : int
    seen : Tensor of int
        Places of the columns that come.
    wanted : Tensor of int
        Outputs to take.

    References
    ----------
    Dinh, Sohl-Dickstein, Bengio (2017), "Density estimation using Real NVP", arXiv:1605.08803.
    """

    seen: Tensor
    wanted: Tensor

    def __init__(self, network: nn.Module, n_columns: int, seen: Tensor, wanted: Tensor):
        super().__init__()
        self.network = network
        self.n_columns = n_columns
        self.register_buffer("seen", seen, persistent=False)
        self.register_buffer("wanted", wanted, persistent=False)

    def forward(self, x: Tensor) -> Tensor:
        rows = x.new_zeros(x.shape[0], self.n_columns).index_copy(1, self.seen, x)
        return self.network(rows)[:, self.wanted]
