"""From the long form of a benchmark's CSV to tables of text, stamped with what made them."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase
from pathlib import Path

from benchmarks.support import results
from benchmarks.support.stamp import is_older
from benchmarks.support.text import cell, simple_table

Key = tuple[str, str, int]  # task, method, seed


class Results:
    """Rows of one benchmark, by task, method, seed and metric."""

    def __init__(self, rows: list[results.Row]):
        self.rows = rows
        self.cells: dict[Key, dict[str, results.Row]] = {}
        for row in rows:
            key = row["task"], row["method"], int(row["seed"])
            self.cells.setdefault(key, {})[row["metric"]] = row

    def of(self, pattern: str) -> "Results":
        """Those of the tasks that match."""
        return Results([row for row in self.rows if fnmatchcase(row["task"], pattern)])

    def value(self, key: Key, metric: str) -> float | str | None:
        """A number where it is one; "se of" a metric; "seconds" are those of the piece."""
        cells = self.cells.get(key, {})
        if metric.startswith("se of "):
            return self.error(key, metric.removeprefix("se of "))
        if metric == "seconds":
            return next((_number(row, metric) for row in cells.values() if row["seconds"]), None)
        return _number(cells.get(metric, {}), "value")

    def error(self, key: Key, metric: str) -> float | None:
        return _number(self.cells.get(key, {}).get(metric, {}), "se")

    def failed(self, key: Key) -> bool:
        return str(self.value(key, "note")).startswith("FAILED")


def _number(row: dict, column: str) -> float | str | None:
    text = row.get(column, "")
    try:
        return float(text)
    except ValueError:
        return text or None


@dataclass(frozen=True)
class View:
    """One table of the documentation: `build` gives its text, nothing where no rows are."""

    name: str  # of the file: NAME.txt
    benchmark: str
    build: Callable[[Results], str]
    tasks: str = "*"
    methods: tuple[str, ...] = ("*",)  # the rows that its footer is about

    def text(self, folder: Path = results.FOLDER) -> str:
        found = Results(results.read(self.benchmark, folder)).of(self.tasks)
        rows = [r for r in found.rows if any(fnmatchcase(r["method"], m) for m in self.methods)]
        table = self.build(found) if rows else ""
        if not table:
            return f"Not measured yet: python benchmarks/run.py {self.benchmark}"
        return f"{table}\n\n{provenance(rows)}"


def tables_of(benchmark: str, folder: Path = results.FOLDER) -> list[tuple[str, str]]:
    """The tables of a benchmark that have rows, with their names."""
    from benchmarks.support.views.catalogue import VIEWS

    texts = [(view.name, view.text(folder)) for view in VIEWS if view.benchmark == benchmark]
    return [(name, text) for name, text in texts if not text.startswith("Not measured")]


def write_all(out: Path, folder: Path = results.FOLDER) -> None:
    """A text file for every table."""
    from benchmarks.support.views.catalogue import VIEWS

    out.mkdir(parents=True, exist_ok=True)
    for view in VIEWS:
        (out / f"{view.name}.txt").write_text(view.text(folder) + "\n", encoding="utf-8")


def provenance(rows: Iterable[results.Row], older: Callable = is_older) -> str:
    """One line for each commit, date and machine that rows come from; old ones are marked."""
    groups: dict[tuple, set] = {}
    for row in rows:
        key = tuple(row[name] for name in results.STAMP)
        groups.setdefault(key, set()).add((row["task"], row["method"], row["seed"]))
    lines = []
    for (commit, date, host, device, threads, versions), pieces in sorted(groups.items()):
        share = f" ({len(pieces)} fits)" if len(groups) > 1 else ""
        threads = f"{threads} thread{'' if threads == '1' else 's'}"
        lines.append(f"Measured by {commit} on {date}{share}: {device}, {threads}; host: {host}.")
        lines += [f"  {versions}"] if versions else []
        if commit.endswith("+dirty"):
            lines.append("  The tree had changes that no commit holds.")
        if older(commit):
            lines.append("  OLDER THAN THE CODE: skflow/ has changed since.")
    return "\n".join(lines).replace("not recorded threads", "threads not recorded")


# -------------------------------------------------------------------------- kinds of table


def ordered(names: Iterable[str], first: Sequence[str]) -> list[str]:
    """Without repetitions: those of `first` in its order, then the others by name."""
    names = set(names)
    return [n for n in first if n in names] + sorted(names - set(first))


def grid(form: Callable[[Results, Key], str], tasks: Sequence[str], methods: Sequence[str]):
    """Tasks by methods, of one metric; only the methods named, and only those that ran."""

    def build(found: Results) -> str:
        ran = {method for _, method, _ in found.cells}
        shown = [m for m in methods if m in ran]
        lines = [
            [task, *(form(found, (task, method, 0)) for method in shown)]
            for task in ordered((task for task, _, _ in found.cells), tasks)
        ]
        return simple_table(["table", *shown], lines) if shown else ""

    return build


def lines(
    label: str,
    columns: Sequence[str],
    methods: Sequence[str] = (),
    tasks: Sequence[str] = (),
    task_label: str = "",
    with_seed: bool = False,
    only: Callable[[str], bool] = lambda method: True,
):
    """One line for every piece: (task,) method (, seed), then metrics as "name:form"."""

    def build(found: Results) -> str:
        keys = [key for key in found.cells if only(key[1])]
        task_rank = ordered((key[0] for key in keys), tasks)
        rank = ordered((key[1] for key in keys), methods)
        keys.sort(key=lambda k: (task_rank.index(k[0]), k[2], rank.index(k[1])))
        specs = [_spec(column) for column in columns]
        body = []
        for key in keys:
            line = [str(key[2])] if with_seed else []
            line += [key[0].split("/")[-1]] if task_label else []
            values = [cell(found.value(key, metric), form) for metric, form in specs]
            body.append([*line, key[1], *values])
        head = [*(["seed"] if with_seed else []), *([task_label] if task_label else []), label]
        return simple_table([*head, *(metric for metric, _ in specs)], body) if body else ""

    return build


def _spec(column: str) -> tuple[str, str]:
    metric, _, form = column.partition(":")
    return metric, form or ".2f"
