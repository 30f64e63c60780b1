"""What a benchmark is made of: pieces, each the fit of one method to one task with one seed.

A benchmark is a module with ``pieces(options)``, which yields a `Piece` for all that it can run;
nothing is loaded or fitted before `Piece.run` is called, so that listing them is quick. It may have

* ``add_options(parser)``: options of its own;
* ``OURS`` and ``compare(ours, other) -> metrics``: the methods of ours, and what is measured on the
  rows (`Outcome.rows`) of one of them and of another method, such as a paired difference.
"""

import argparse
import traceback
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from fnmatch import fnmatchcase

import numpy as np

Metrics = dict[str, object]  # value, or (value, standard error); numbers, truth or text


@dataclass
class Outcome:
    """Seconds of the fit, model selection included; what was measured; what a comparison needs."""

    seconds: float | None
    metrics: Metrics
    rows: dict[str, np.ndarray] = field(default_factory=dict)


@dataclass(frozen=True)
class Piece:
    task: str
    method: str
    run: Callable[[], Outcome]
    seed: int = 0

    def outcome(self) -> Outcome:
        try:
            return self.run()
        except Exception as error:  # a failure is a result, to be reported with the others
            traceback.print_exception(error)
            text = " ".join(str(error).split())[:150]
            return Outcome(None, {"note": f"FAILED {type(error).__name__}: {text}"})


def chosen(pieces: Iterable[Piece], options: argparse.Namespace) -> Iterator[Piece]:
    """Those of the tasks, methods and seeds asked for; "toys" asks for all of "toys/..."."""
    for piece in pieces:
        groups = [piece.task, *([piece.task.split("/")[0]] if "/" in piece.task else [])]
        if (
            (options.only is None or any(matches(name, options.only) for name in groups))
            and (options.methods is None or matches(piece.method, options.methods))
            and (options.seeds is None or piece.seed in options.seeds)
        ):
            yield piece


def matches(name: str, patterns: list[str]) -> bool:
    """By equality first: names hold brackets."""
    return name in patterns or any(fnmatchcase(name, pattern) for pattern in patterns)


def mean_and_error(values) -> tuple[float, float]:
    """The mean with its standard error."""
    values = np.asarray(values, dtype=float)
    return float(values.mean()), float(values.std(ddof=1) / np.sqrt(len(values)))
