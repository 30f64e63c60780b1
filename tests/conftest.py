"""A test draws its own data, whichever tests ran before it in its process."""

import copy

import numpy as np
import pytest


@pytest.fixture(scope="module")
def states_at_import(request):
    """Each generator of the module and its state before the first test."""
    generators = [v for v in vars(request.module).values() if isinstance(v, np.random.Generator)]
    return [(g.bit_generator, copy.deepcopy(g.bit_generator.state)) for g in generators]


@pytest.fixture(autouse=True)
def the_same_draws_in_any_order(states_at_import):
    """Every test draws from its module's generators as if it were the only one."""
    for generator, state in states_at_import:
        generator.state = state
