"""What a layer asks for beside the likelihood."""

from torch import Tensor, nn


class TrainingTerm(nn.Module):
    """A loss that a layer asks for beside the likelihood, such as a reconstruction.

    The layer's pass in training mode leaves it in ``pending``, one number per row in nats; the
    flow collects it and the loop adds it to the loss. It is no part of any contribution.
    """

    pending: Tensor | None = None

    def take(self) -> Tensor | None:
        """Give away what the last pass left."""
        term, self.pending = self.pending, None
        return term

    def train(self, mode: bool = True):
        """Switch mode; a term that nobody took is dropped."""
        self.pending = None
        return super().train(mode)
