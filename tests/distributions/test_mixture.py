"""Moments of a mixture, by hand."""

import torch

from skflow.distributions import GaussianMixture


def test_the_covariance_counts_components_by_their_weights():
    mixture = GaussianMixture(2, 2).double()
    with torch.no_grad():
        mixture.logits.copy_(torch.tensor([0.9, 0.1]).log())
        mixture.means.copy_(torch.tensor([[0.0, 1.0], [10.0, -4.0]]))
        mixture.log_diagonal[1] = torch.tensor([0.5, 0.25]).log()  # deviations 2 and 4
    # 0.9 I + 0.1 diag(4, 16), and 0.09 of the squared distance between the means.
    expected = torch.tensor([[1.3 + 9.0, -4.5], [-4.5, 2.5 + 2.25]])
    torch.testing.assert_close(mixture.covariance(), expected.double(), rtol=0, atol=1e-6)
