"""The table of the steps benchmark: milliseconds, units of the floor, slopes."""

from math import log
from statistics import linear_regression

from benchmarks.support.text import cell, simple_table
from benchmarks.support.views.kinds import Results

MODES = ("floor", "exact", "newton", "relative", "lu", "self")
EXACT = ("exact", "newton", "lu")
SLOPE_FROM = 512


def steps(found: Results) -> str:
    by_size = {int(method.split("=")[1]): (task, method, 0) for task, method, _ in found.cells}
    times = {
        d: {mode: found.value(by_size[d], f"ms {mode}") for mode in MODES} for d in sorted(by_size)
    }
    times = {d: row for d, row in times.items() if None not in row.values()}
    if not times:
        return ""
    (task,) = {task for task, _, _ in found.cells}
    milliseconds = [
        [str(d), *(cell(row[mode]) for mode in MODES), min(EXACT, key=row.get)]
        for d, row in times.items()
    ]
    ratios = [
        [str(d), *(cell(row[mode] / row["floor"]) for mode in MODES[1:])]
        for d, row in times.items()
    ]
    large = {d: row for d, row in times.items() if d >= SLOPE_FROM}
    parts = [
        f"Milliseconds per step, {task}",
        simple_table(["d", *MODES, "fastest exact"], milliseconds),
        "In units of the floor",
        simple_table(["d", *MODES[1:]], ratios),
    ]
    if len(large) > 1:
        sizes = [log(d) for d in large]
        slopes = [
            cell(linear_regression(sizes, [log(row[mode]) for row in large.values()]).slope)
            for mode in MODES
        ]
        parts += [
            f"Slope of log time against log d from d = {SLOPE_FROM} on",
            simple_table(MODES, [slopes]),
        ]
    return "\n\n".join(parts)
