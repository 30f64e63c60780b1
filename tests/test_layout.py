"""The house: who imports whom, how large things are, and what nobody asks of a distribution.

`python -m tests.test_layout` prints the counts.
"""

import ast
import statistics
from pathlib import Path

import pytest

from skflow.distributions.base import Distribution

ROOT = Path(__file__).parents[1] / "skflow"
# Each part imports from its own row and from those below. `data` are values that travel: a leaf.
RANKS = [
    {"model_selection"},
    {"estimators"},
    {"inspection", "flowification"},
    {"starts"},
    {"architectures"},
    {"training"},
    {"flow"},
    {"transforms"},
    {"distributions"},
    {"networks"},
    {"kernels"},
    {"data", "datasets", "_compat"},
]
MOST_ARGUMENTS = 6
# What users call with keywords: there parameters are the interface, as scikit-learn's are.
USER_FACING = {"model_selection", "estimators", "inspection", "__init__"}
# Layers of PyTorch as transforms: public, named after what they build, they make a `Compose` and
# take what its constructor would.
CONSTRUCTORS = {"flowified_linear", "flowified_convolution", "flowified_average_pool"}
MOST_LINES, MEDIAN_LINES, ESTIMATOR_LINES = 400, 150, 3_500


def rank(part: str) -> int:
    return next(i for i, parts in enumerate(RANKS) if part in parts)


def sources():
    return sorted(ROOT.rglob("*.py"))


def part_of(path: Path) -> str:
    return path.relative_to(ROOT).parts[0].removesuffix(".py")


def imported_parts(tree):
    """The parts of skflow that a module imports, wherever in it."""
    for node in ast.walk(tree):
        names = []
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom) and node.module:
            names = [node.module]
        for name in names:
            if name.startswith("skflow."):
                yield name.split(".")[1]


def upward_imports():
    for path in sources():
        part = part_of(path)
        if part == "__init__":
            continue
        for other in imported_parts(ast.parse(path.read_text())):
            if rank(other) < rank(part):
                yield f"{path.relative_to(ROOT)} imports {other}"


def is_layer(node: ast.ClassDef, part: str) -> bool:
    """Whether the constructor is one of a module: there parameters are the interface."""
    return part in {"transforms", "distributions", "networks", "kernels"}


def long_argument_lists():
    for path in sources():
        part = part_of(path)
        if part in USER_FACING:
            continue
        tree = ast.parse(path.read_text())
        constructors = {
            id(item)
            for node in ast.walk(tree)
            if isinstance(node, ast.ClassDef) and is_layer(node, part)
            for item in node.body
            if isinstance(item, ast.FunctionDef) and item.name == "__init__"
        }
        for node in ast.walk(tree):
            if not isinstance(node, ast.FunctionDef) or id(node) in constructors:
                continue
            if part == "transforms" and node.name in CONSTRUCTORS:
                continue
            arguments = [*node.args.posonlyargs, *node.args.args, *node.args.kwonlyargs]
            n = len([a for a in arguments if a.arg not in ("self", "cls")])
            if n > MOST_ARGUMENTS:
                yield f"{path.relative_to(ROOT)}:{node.lineno} {node.name} has {n}"


def distribution_names() -> set[str]:
    found, waiting = set(), [Distribution]
    while waiting:
        kind = waiting.pop()
        found.add(kind.__name__)
        waiting += kind.__subclasses__()
    return found


def questions_of_kind():
    """Calls of isinstance and issubclass that name a distribution, above `distributions`."""
    names = distribution_names()
    for path in sources():
        if part_of(path) == "distributions":
            continue
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Call) and getattr(node.func, "id", "") in (
                "isinstance",
                "issubclass",
            ):
                asked = {n.id for n in ast.walk(node.args[1]) if isinstance(n, ast.Name)}
                if asked & names:
                    yield f"{path.relative_to(ROOT)}:{node.lineno} asks for {asked & names}"


def lines() -> dict[Path, int]:
    return {path: len(path.read_text().splitlines()) for path in sources()}


@pytest.mark.parametrize("faults", [upward_imports, long_argument_lists, questions_of_kind])
def test_the_house_is_in_order(faults):
    assert list(faults()) == []


def test_files_are_small():
    counted = lines()
    assert {p.name: n for p, n in counted.items() if n > MOST_LINES} == {}
    assert statistics.median(counted.values()) <= MEDIAN_LINES
    assert sum(n for p, n in counted.items() if part_of(p) == "estimators") <= ESTIMATOR_LINES


def test_everything_is_ranked():
    assert {part_of(path) for path in sources()} - {"__init__"} == set().union(*RANKS)


if __name__ == "__main__":
    counted = lines()
    own = sum(n for p, n in counted.items() if part_of(p) == "estimators")
    print(f"{len(counted)} files, median {statistics.median(counted.values()):.0f} lines")
    print(f"longest {max(counted.values())}; estimators {own} lines")
    for faults in (upward_imports, long_argument_lists, questions_of_kind):
        print(faults.__name__, *list(faults()) or ["none"], sep="\n  ")
