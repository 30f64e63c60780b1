"""The results of a benchmark: one CSV in long form, written piece by piece, by any processes.

A piece that runs again replaces all its rows; those of others stay. Rows of the test set that
comparisons need lie beside the CSV in ``rows/``, which is not kept in the repository.
"""

import contextlib
import csv
import fcntl
import os
from collections.abc import Callable, Iterator
from hashlib import sha1
from pathlib import Path

import numpy as np

from benchmarks.support.pieces import Metrics, Outcome, Piece

STAMP = ("commit", "date", "host", "device", "threads", "versions")
KEY = ("task", "method", "seed", "metric")
COLUMNS = (*STAMP, *KEY, "value", "se", "seconds")
FOLDER = Path(__file__).parents[1] / "results"
MINUS = " minus "  # in the name of a metric that compares with another method

Row = dict[str, str]
Compare = Callable[[dict, dict], Metrics]


def read(name: str, folder: Path = FOLDER) -> list[Row]:
    """All rows of a benchmark, none where it has not run."""
    path = folder / f"{name}.csv"
    if not path.exists():
        return []
    with path.open(newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


def add(
    name: str,
    piece: Piece,
    outcome: Outcome,
    stamp: Row,
    folder: Path = FOLDER,
    ours: tuple[str, ...] = (),
    compare: Compare | None = None,
) -> None:
    """Put in a piece's rows, and those that compare it with the other methods of its task."""
    own = [row_of(stamp, piece, *item, outcome.seconds) for item in outcome.metrics.items()]
    with locked(name, folder):
        keep_rows(name, piece, outcome.rows, folder)
        compared = []
        if compare is not None:
            compared = list(comparisons(name, piece, stamp, folder, ours, compare))
        merge(name, own + compared, folder, outdated=lambda row: concerns(row, piece))


def concerns(row: Row, piece: Piece) -> bool:
    """Whether a row is of this piece, or compares another method with it."""
    return (row["task"], row["seed"]) == (piece.task, str(piece.seed)) and (
        row["method"] == piece.method or row["metric"].endswith(MINUS + piece.method)
    )


def combine(name: str, rows: list[Row], folder: Path = FOLDER) -> None:
    """Put in rows from another machine's results; a piece among them replaces its own."""
    pieces = {(row["task"], row["method"], row["seed"]) for row in rows}
    with locked(name, folder):
        merge(
            name,
            rows,
            folder,
            outdated=lambda row: (row["task"], row["method"], row["seed"]) in pieces,
        )


def merge(name: str, rows: list[Row], folder: Path, outdated: Callable[[Row], bool]) -> None:
    """Write the CSV anew, sorted by key; whoever reads it sees the old one or the new one."""
    kept = [row for row in read(name, folder) if not outdated(row)]
    merged = {tuple(row[k] for k in KEY): row for row in kept + rows}
    path = folder / f"{name}.csv"
    draft = path.with_suffix(".csv.new")
    with draft.open("w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, COLUMNS, lineterminator="\n")
        writer.writeheader()
        writer.writerows(merged[key] for key in sorted(merged, key=_order))
    os.replace(draft, path)


def _order(key: tuple[str, ...]) -> tuple:
    task, method, seed, metric = key
    return task, method, int(seed), metric


@contextlib.contextmanager
def locked(name: str, folder: Path) -> Iterator[None]:
    """One writer at a time; a writer that dies lets go."""
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / f".{name}.lock").open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


def row_of(stamp: Row, piece: Piece, metric: str, value, seconds: float | None) -> Row:
    value, se = value if isinstance(value, tuple) else (value, None)
    key = dict(zip(KEY, (piece.task, piece.method, str(piece.seed), metric), strict=True))
    cells = {"value": text(value, 8), "se": text(se, 4), "seconds": text(seconds, 4)}
    return {**stamp, **key, **cells}


def text(value, digits: int) -> str:
    """A cell: truth as 1 and 0, nothing for None."""
    if value is None:
        return ""
    return value if isinstance(value, str) else f"{float(value):.{digits}g}"


# --------------------------------------------------------------------- rows of the test set


def keep_rows(name: str, piece: Piece, rows: dict[str, np.ndarray], folder: Path) -> None:
    path = _rows_path(name, piece.task, piece.method, piece.seed, folder)
    path.unlink(missing_ok=True)
    if rows:
        path.parent.mkdir(parents=True, exist_ok=True)
        np.savez_compressed(path, **rows, _method=np.array(piece.method))


def kept_rows(name: str, task: str, seed: int, folder: Path) -> dict[str, dict[str, np.ndarray]]:
    """What the methods of a task have left, by method."""
    found = {}
    for path in sorted(_rows_path(name, task, "", seed, folder).parent.glob("*.npz")):
        with np.load(path, allow_pickle=False) as file:
            rows = dict(file)
        found[str(rows.pop("_method"))] = rows
    return found


def _rows_path(name: str, task: str, method: str, seed: int, folder: Path) -> Path:
    digest = sha1(method.encode()).hexdigest()[:12]  # a method's name need not be a file's
    return folder / "rows" / name / task.replace("/", "_") / str(seed) / f"{digest}.npz"


def comparisons(
    name: str, piece: Piece, stamp: Row, folder: Path, ours: tuple[str, ...], compare: Compare
) -> Iterator[Row]:
    """One row for every metric of ours against a method of others, this piece one of the two."""
    kept = kept_rows(name, piece.task, piece.seed, folder)
    for own in (method for method in ours if method in kept):
        for other in (method for method in kept if method not in ours):
            if piece.method in (own, other):
                ours_piece = Piece(piece.task, own, piece.run, piece.seed)
                for metric, value in compare(kept[own], kept[other]).items():
                    label = f"{metric}{MINUS}{other}"
                    yield row_of(stamp, ours_piece, label, value, None)
