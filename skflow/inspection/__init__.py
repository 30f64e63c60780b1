"""What a fitted flow says about data, beyond its scores."""

from skflow.inspection.bits import bits_per_dimension
from skflow.inspection.contributions import LikelihoodContributions, likelihood_contributions
from skflow.inspection.contributions_display import LikelihoodContributionsDisplay
from skflow.inspection.dimensions_display import DimensionContributionsDisplay

__all__ = [
    "DimensionContributionsDisplay",
    "LikelihoodContributions",
    "LikelihoodContributionsDisplay",
    "bits_per_dimension",
    "likelihood_contributions",
]
