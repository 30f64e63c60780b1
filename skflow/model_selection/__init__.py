"""Searches that know how a flow is fitted."""

from skflow.model_selection.flow_search import FlowSearchCV

__all__ = ["FlowSearchCV"]
