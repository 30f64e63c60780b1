"""Tables of the density benchmark: likelihoods, seconds, and verdicts on each of our methods."""

from statistics import median

from benchmarks.support.text import cell, simple_table, underlined
from benchmarks.support.views.kinds import Key, Results, View, grid, ordered

TABLES = (
    "concrete",
    "gvhd_flow_cytometry",
    "california",
    "power36k",
    "galaxy_pz",
    "house16h",
    "protein",
    "digits",
    "breast_cancer",
)
OURS = ("skflow", "skflow-self", "skflow-funnel", "skflow-mlp", "skflow-multiscale")
CLASSICS = ("gmm", "gmm-white", "kde", "kde-white")
SPLINE_PEER = "zuko-nsf"
TIME = "cpu_seconds"  # what else the machine does is no matter of the method
PEERS = (*CLASSICS, SPLINE_PEER, "zuko-tutorial", "zuko-maf", "nflows-nsf")
SHOWN = (*OURS, *PEERS)

VERDICTS = (">= classic", "> zuko NSF", "faster", ">= page")

# The best figure of each table in the project's own earlier measurements, at 10,000 training rows.
PAGE_ROWS = 10_000
PAGE = {
    "concrete": -26.44,
    "gvhd_flow_cytometry": -23.57,
    "california": -15.78,
    "power36k": -9.87,
    "galaxy_pz": 5.50,
    "house16h": 38.72,
    "protein": -47.03,
}


def nats(found: Results, key: Key) -> str:
    if found.failed(key):
        return "FAILED"
    mean, se = found.value(key, "nats"), found.error(key, "nats")
    return "" if mean is None or se is None else f"{mean:.2f} ± {se:.2f}"


def seconds(found: Results, key: Key) -> str:
    return cell(found.value(key, TIME), ".1f")


def difference(found: Results, table: str, ours: str, other: str | None):
    """Of the means, and the standard error of the paired difference where it was measured."""
    if other is None:
        return None, None
    paired = f"nats minus {other}"
    measured = found.value((table, ours, 0), paired)
    if measured is not None:
        return measured, found.error((table, ours, 0), paired)
    means = [found.value((table, method, 0), "nats") for method in (ours, other)]
    return None if None in means else means[0] - means[1], None


def best_of(found: Results, table: str, names) -> str | None:
    means = {name: found.value((table, name, 0), "nats") for name in names}
    alive = [name for name, mean in means.items() if mean is not None]
    return max(alive, key=means.get, default=None)


def verdict(found: Results, table: str, ours: str) -> dict:
    """One of ours against the best classic, the spline peer, the best peer, the page's figure."""
    key = table, ours, 0
    classic, peer = (best_of(found, table, names) for names in (CLASSICS, PEERS))
    over_classic, se = difference(found, table, ours, classic)
    over_spline, _ = difference(found, table, ours, SPLINE_PEER)
    over_page = None
    full = (found.value(key, "max_rows") or PAGE_ROWS) == PAGE_ROWS
    if table in PAGE and full and found.value(key, "nats") is not None:
        over_page = found.value(key, "nats") - PAGE[table]
    times = [found.value((table, method, 0), TIME) for method in (SPLINE_PEER, ours)]
    faster = None if None in times else times[0] / times[1]
    return {
        "table": table,
        "best classic": classic,
        "ours - classic": over_classic,
        "se": se,
        VERDICTS[0]: None if se is None else over_classic >= -max(0.02, se),
        "ours - zuko NSF": over_spline,
        VERDICTS[1]: None if over_spline is None else over_spline > 0,
        VERDICTS[2]: None if faster is None else faster > 1,
        "times faster": faster,
        "best peer": peer,
        "ours - peer": difference(found, table, ours, peer)[0],
        "ours - page": over_page,
        VERDICTS[3]: None if over_page is None else over_page >= -0.1,
    }


def judged(found: Results, ours: str) -> str:
    """The table of one of our estimators, and how often each verdict was a yes."""
    tables = ordered((table for table, method, _ in found.cells if method == ours), TABLES)
    if not tables:
        return ""
    verdicts = [verdict(found, table, ours) for table in tables]
    forms = [[cell(v, "yes" if isinstance(v, bool) else ".2f") for v in row.values()]
             for row in verdicts]  # fmt: skip
    counts = []
    for key in VERDICTS:
        known = [row[key] for row in verdicts if row[key] is not None]
        counts.append(f"* {key}: {sum(known)} of {len(known)}")
    speed = [row["times faster"] for row in verdicts if row["times faster"] is not None]
    if speed:
        counts.append(f"* times faster than zuko NSF: median {median(speed):.2f}")
    return "\n\n".join(
        [
            underlined(f"Verdicts on {ours}"),
            simple_table(list(verdicts[0]), forms),
            "\n".join(counts),
        ]
    )


def notes(found: Results) -> str:
    methods = [m for m in SHOWN if any(m == method for _, method, _ in found.cells)]
    tables = ordered((table for table, _, _ in found.cells), TABLES)
    keys = [(table, method, 0) for table in tables for method in methods]
    body = [[k[0], k[1], cell(found.value(k, "note"), "s")] for k in keys if k in found.cells]
    return simple_table(["table", "method", "note"], body)


def density(found: Results) -> str:
    title = "Test log-density, nats per row (mean ± standard error)"
    parts = [
        underlined(title),
        grid(nats, TABLES, SHOWN)(found),
        underlined("Seconds of the processor to fit, model selection included"),
        grid(seconds, TABLES, SHOWN)(found),
        *(text for ours in OURS if (text := judged(found, ours))),
        underlined("Notes"),
        notes(found),
    ]
    return "\n\n".join(parts)


DENSITY_VIEWS = (
    View("density", "density", density, methods=SHOWN),
    View(
        "density_gaussian",
        "density",
        grid(nats, TABLES, ("gaussian",)),
        methods=("gaussian",),
    ),
)
