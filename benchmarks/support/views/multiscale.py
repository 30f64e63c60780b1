"""Tables of the multiscale benchmark: means and pairs over seeds, one line for each k."""

from collections.abc import Sequence
from math import sqrt
from statistics import mean, stdev

from benchmarks.support.text import cell, simple_table
from benchmarks.support.views.density import CLASSICS, TABLES, nats
from benchmarks.support.views.kinds import Results, View, grid, lines, ordered

RANKINGS = (
    "likelihood, standard",
    "random, standard",
    "reversed, standard",
    "likelihood, gaussian",
    "random, gaussian",
    "none, -",
)
ERRORS = ("error", "pca_error", "ratio", "score", "factor_analysis", "seconds")


def with_pairs(columns: Sequence[str], measure: str, methods: Sequence[str] = ()):
    """The lines, then means over seeds, then paired differences to what "likelihood" gives."""

    def build(found: Results) -> str:
        table = lines("ranking", columns, methods, with_seed=True)(found)
        (task,) = {task for task, _, _ in found.cells}
        values = {
            method: {
                seed: found.value((task, method, seed), measure)
                for _, m, seed in found.cells
                if m == method and found.value((task, method, seed), measure) is not None
            }
            for method in ordered((method for _, method, _ in found.cells), methods)
        }
        body = [["mean", m, cell(mean(v.values())), ""] for m, v in values.items() if v]
        for ours in (m for m in values if m.startswith("likelihood")):
            for other in values:
                if not other.startswith("likelihood") and comparable(ours, other):
                    both = sorted(set(values[ours]) & set(values[other]))
                    gaps = [values[ours][seed] - values[other][seed] for seed in both]
                    if len(gaps) > 1:
                        error = cell(stdev(gaps) / sqrt(len(gaps)))
                        body.append(["paired", f"{ours} - {other}", cell(mean(gaps)), error])
        summary = simple_table(["seeds", "ranking", measure, "standard_error"], body)
        return f"{table}\n\n{summary}"

    return build


def comparable(ours: str, other: str) -> bool:
    """Of the same decoder, where one is named."""
    return other.partition(", ")[2] in (ours.partition(", ")[2], "-")


def by_components(found: Results) -> str:
    """One line for every seed, start and number of components."""
    body = []
    for key in sorted(found.cells, key=lambda k: (k[2], k[1])):
        sizes = sorted(int(m.split()[1]) for m in found.cells[key] if m.startswith("error "))
        for k in sizes:
            values = [
                found.value(key, metric)
                if metric in ("score", "seconds")
                else found.value(key, f"{metric} {k}")
                for metric in ERRORS
            ]
            body.append([str(key[2]), key[1], str(k), *map(cell, values)])
    return simple_table(["seed", "start", "n_components", *ERRORS], body) if body else ""


PRIORS = ("score", "start", "bound_gap", "exact:yes", "error", "seconds")
COLUMNS = ("kept:d", "nll", "epochs:d", "seconds")
AS_A_DENSITY = ("skflow", "skflow-multiscale", *CLASSICS)

MULTISCALE_VIEWS = (
    View("multiscale_columns", "multiscale", with_pairs(COLUMNS, "nll", RANKINGS), "columns"),
    View("multiscale_digits", "multiscale", by_components, "digits"),
    View(
        "multiscale_priors",
        "multiscale",
        lines("prior", PRIORS, ("lowrank", "vae", "flow"), with_seed=True),
        "priors",
    ),
    View(
        "multiscale_mnist",
        "multiscale",
        with_pairs(("bits", "epochs:d", "seconds"), "bits", ("likelihood", "blocks", "channels")),
        "mnist",
    ),
    View("multiscale_mnist_components", "multiscale", by_components, "mnist_components"),
    View(
        "multiscale_density",
        "density",
        grid(nats, TABLES, AS_A_DENSITY),
        methods=AS_A_DENSITY,
    ),
)
