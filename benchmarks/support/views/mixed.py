"""Tables of the mixed and the contributions benchmarks."""

from benchmarks.support.text import cell, simple_table
from benchmarks.support.views.kinds import Results, View, lines, ordered

TABLES = ("adult", "abalone", "nyc_weather")
DENSITIES = ("ours", "marginals", "mixture", "conditional")
IMPUTERS = ("ours", "iterative", "neighbours", "simple")
EXPLAINERS = ("flow", "flow / spread", "flow, noise known", "mixture", "z-score")


def against_ours(metric: str, columns: tuple[str, ...], methods: tuple[str, ...]):
    """Lines with what ours has more, and the standard error of that."""

    def build(found: Results) -> str:
        for (table, method, seed), cells in list(found.cells.items()):
            gap = found.cells.get((table, "ours", seed), {}).get(f"{metric} minus {method}")
            if gap is not None:
                cells["ours_minus"] = gap
        both = (*columns, "ours_minus", "se of ours_minus", "seconds")
        shown = methods.__contains__
        return lines("method", both, methods, TABLES, "table", only=shown)(found)

    return build


def mixed(name: str, build, methods: tuple[str, ...]) -> View:
    return View(name, "mixed", build, methods=methods)


def detection(found: Results) -> str:
    columns, shown = ("auroc_percent", "nats_real_minus_permuted"), DENSITIES.__contains__
    return lines("method", columns, DENSITIES, TABLES, "table", only=shown)(found)


def contributions(found: Results) -> str:
    """One line for every table and noise, the methods side by side."""
    body = []
    for task in ordered({task for task, _, _ in found.cells}, ()):
        table, _, noise = task.partition("/")
        flow = task, "flow", 0
        shares = [cell(found.value((task, who, 0), "percent")) for who in EXPLAINERS]
        flagged = [
            cell(found.value((task, who, 0), "percent_flagged")) for who in ("flow", "mixture")
        ]
        rest = [cell(found.value(flow, "flagged"), "d"), cell(found.value(flow, "seconds"))]
        body.append([table, cell(found.value(flow, "d"), "d"), noise, *shares, *flagged, *rest])
    head = ["table", "d", "noise", *EXPLAINERS, "flow, flagged", "mixture, flagged", "flagged"]
    return simple_table([*head, "seconds"], body) if body else ""


MIXED_VIEWS = (
    mixed("mixed_likelihood", against_ours("nats", ("nats", "se of nats"), DENSITIES), DENSITIES),
    mixed("mixed_detection", detection, DENSITIES),
    mixed(
        "mixed_imputation",
        against_ours("total", ("nrmse", "error_rate", "total"), IMPUTERS),
        IMPUTERS,
    ),
)
CONTRIBUTIONS_VIEW = View("contributions", "contributions", contributions)
