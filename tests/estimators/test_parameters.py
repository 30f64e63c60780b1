"""Docstrings against signatures: every parameter, its default, and one type for one name."""

import inspect
import re

import pytest

import skflow
from tests.contract.estimators import ESTIMATORS

# Where a name takes other values in one estimator, or means something else in each.
OF_THEIR_OWN = {"activation", "architecture", "hidden_layer_sizes", "n_components"}
EXCEPTIONS = {
    "base": {"FlowifiedMLP"},  # no Student t
    "decoder": {"MultiscaleFlow"},  # "standard" beside the others
    "bounds": {"SurVAEFlow"},  # columns by name too
    "learning_rate_init": {"SelfNormalizingFlow", "SurVAEFlow"},  # "auto"
}


def parameters_of(cls) -> dict[str, str]:
    """Name -> what stands after its colon, of numpydoc's section Parameters."""
    lines = inspect.getdoc(cls).replace("\\\n", "").splitlines()
    start = lines.index("Parameters") + 2
    entries: dict[str, str] = {}
    for line, following in zip(lines[start:], lines[start + 1 :], strict=False):
        if following.startswith("---"):  # the next section's title
            break
        if line and not line.startswith(" "):
            name, _, kind = line.partition(" : ")
            assert name not in entries, f"{name} is documented twice"
            entries[name] = " ".join(kind.split())
    return entries


def type_and_default(entry: str) -> tuple[str, str]:
    kind, found, default = entry.rpartition(", default=")
    assert found, f"no default in {entry!r}"
    return kind, default


@pytest.fixture(params=ESTIMATORS)
def cls(request):
    return ESTIMATORS[request.param].estimator


def signature(cls) -> dict:
    return dict(inspect.signature(cls).parameters)


def test_the_table_has_every_public_estimator():
    public = [getattr(skflow, name) for name in skflow.__all__]
    estimators = {c for c in public if inspect.isclass(c) and hasattr(c, "score_samples")}
    assert {case.estimator for case in ESTIMATORS.values()} == estimators


def test_every_parameter_is_documented_and_nothing_else(cls):
    assert set(parameters_of(cls)) == set(signature(cls))  # by keyword: the order is free


def test_documented_defaults_are_those_of_the_signature(cls):
    for name, entry in parameters_of(cls).items():
        default = type_and_default(entry)[1]
        expected = signature(cls)[name].default
        assert eval(default, {}) == expected, f"{name}: {default} is not {expected!r}"


def test_documented_choices_are_those_that_are_accepted(cls):
    for name, entry in parameters_of(cls).items():
        kind = type_and_default(entry)[0]
        if not kind.startswith("{"):
            continue
        accepted = set()
        for constraint in cls._parameter_constraints[name]:
            accepted |= getattr(constraint, "options", set())
        assert set(re.findall(r'"(\w+)"', kind)) == accepted, name


def test_only_the_first_parameter_is_positional(cls):
    first, *others = signature(cls).values()
    assert first.kind is inspect.Parameter.POSITIONAL_OR_KEYWORD
    positional = {p.name for p in others if p.kind is not inspect.Parameter.KEYWORD_ONLY}
    assert positional == set()


def test_shared_parameters_are_documented_alike():
    types: dict[str, dict[str, str]] = {}
    for name, case in ESTIMATORS.items():
        for parameter, entry in parameters_of(case.estimator).items():
            if parameter not in OF_THEIR_OWN and name not in EXCEPTIONS.get(parameter, ()):
                types.setdefault(parameter, {})[name] = type_and_default(entry)[0]
    differing = {name: own for name, own in types.items() if len(set(own.values())) > 1}
    assert not differing
