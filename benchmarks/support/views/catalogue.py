"""The tables of the documentation, by the benchmark that they are made from."""

from benchmarks.support.views.density import DENSITY_VIEWS
from benchmarks.support.views.kinds import Results, View, lines
from benchmarks.support.views.mixed import CONTRIBUTIONS_VIEW, MIXED_VIEWS
from benchmarks.support.views.multiscale import MULTISCALE_VIEWS
from benchmarks.support.views.steps import steps

TOYS = (
    "FlowifiedMLP()",
    "narrowing (2, 2, 1)",
    "widening (16, 16, 16, 2, 2)",
    "square, from the Gaussian",
    "square, one spline a layer",
    "widening, from the Gaussian",
)
DIGITS = (
    "LedoitWolf",
    "FactorAnalysis(24)",
    "GaussianMixture",
    "FunnelFlow()",
    "FunnelFlow(8)",
    "FlowifiedMLP()",
    "NormalizingFlow()",
    "FlowifiedMLP((8, 8, 8)), from the Gaussian",
    "FunnelFlow(8), from the Gaussian",
)
IMAGES = (
    "LedoitWolf, flat",
    "flowified_mlp",
    "flowified_convolutions",
    "flowified_overlapping",
    "funnel",
)
GRADIENTS = tuple(
    f"{mode}{suffix}"
    for suffix in (
        "",
        ", from the Gaussian",
        ", not whitened",
        *(f", rate x d = {product}" for product in (0.1, 0.3, 1.0)),
    )
    for mode in ("exact", "newton", "lu", "relative", "self", "paper (no polish)", "paper")
)
MOONS = ("default", "from the Gaussian, 8 layers", "paper's activation, 8 layers")
NLL = ("test_nll", "minus_reference", "epochs:d", "inverse_error", "condition", "refreshes:d")
SELF = (*NLL, "seconds")


def paper_models(found: Results) -> str:
    """MNIST by the paper's layers; "minus_reference" is the excess over "exact" as a share."""
    exact = found.value(("mnist", "exact", 0), "test_nll")
    for key in list(found.cells):
        nll = found.value(key, "test_nll")
        if isinstance(exact, float) and isinstance(nll, float):
            found.cells[key]["minus_reference"] = {"value": str(nll / exact - 1), "seconds": ""}
    columns = (NLL[0], "minus_reference:.4f", *SELF[2:], "bits_per_dimension")
    return lines("setting", columns, ("exact", "self", "newton"))(found)


def self_normalizing(name: str, tasks: str, columns=SELF, task_label: str = "") -> View:
    methods = (*GRADIENTS, *MOONS)
    build = lines("setting", columns, methods, task_label=task_label)
    return View(name, "self_normalizing", build, tasks)


SPEED = ("ours_seconds", "peer_seconds", "ratio", "ratio_q25", "ratio_q75")
SEARCHES = (
    "ratio",
    "search_seconds:.1f",
    "grid_search_seconds:.1f",
    "best",
    "grid_best",
    "test",
    "grid_test",
)
QUALITY = (
    "n:d",
    "d:d",
    "nats",
    "gmm_nats",
    "fit_seconds:.1f",
    "to_gmm:.1f",
    "gmm_seconds:.1f",
    "by_gmm:.1f",
    "start_seconds:.1f",
    "epochs:d",
)
REACH = (
    "validation",
    "zuko_validation",
    "to_zuko:.1f",
    "zuko_seconds:.1f",
    "ratio:.1f",
    "note:s",
)
TUNING = ("gain:.3f", "se of gain:.3f", "ratio", "epochs:d", "default_epochs:d")
SCORES = (
    "rows:d",
    "rows_per_second:d",
    "memory_rows_per_second:d",
    "ratio",
    "resident_mib:d",
    "memory_resident_mib:d",
)
FITS = (
    "rows:d",
    "nats",
    "gmm_nats",
    "fit_seconds:d",
    "to_gmm:d",
    "gmm_seconds:d",
    "epochs:d",
    "resident_mib:d",
    "gmm_resident_mib:d",
    "gmm_note:s",
)
TOY = ("test_nats", "minus_truth", "exact:yes", "bound_gap", "epochs:d", "seconds")
DIGIT = ("test_nats", "start", "latent:d", "epochs:d", "seconds", "note:s")
IMAGE = (
    "bits_per_dimension",
    "start",
    "latent:d",
    "exact:yes",
    "bound_gap_bits",
    "epochs:d",
    "seconds",
)
SURVAE = ("elbo_bits", "iw_bits", "start_bits", "elbo_nats", "epochs:d", "seconds")
POINTS = (
    "per_point",
    "se of per_point",
    "pixels",
    "elbo",
    "start",
    "epochs:d",
    "seconds",
    "note:s",
)

VIEWS = (
    *DENSITY_VIEWS,
    View("speed", "speed", lines("ours / peer", SPEED, task_label="task")),
    View("searches", "searches", lines("strategy", SEARCHES, task_label="rows")),
    View("quality_fit", "quality", lines("beside", QUALITY, task_label="table"), "fit/*"),
    View("quality_small", "quality", lines("beside", QUALITY, task_label="table"), "small/*"),
    View("quality_reach", "quality", lines("beside", REACH, task_label="table"), "reach/*"),
    View("tuning", "tuning", lines("setting", TUNING, task_label="table")),
    View("scale_score", "scale", lines("from", SCORES), "score"),
    View("scale_fit", "scale", lines("fit", FITS), "fit"),
    View("steps", "steps", steps, "cpu, *"),
    self_normalizing("self_normalizing_gaussian", "gaussian"),
    self_normalizing("self_normalizing_mixture", "mixture"),
    self_normalizing("self_normalizing_moons", "moons/*", task_label="task"),
    self_normalizing("self_normalizing_rates", "rates"),
    View("self_normalizing_mnist", "self_normalizing", paper_models, "mnist"),
    self_normalizing("self_normalizing_conv", "conv", (*SELF, "bits_per_dimension")),
    View("reduction_toys", "reduction", lines("model", TOY, TOYS, task_label="toy"), "toys/*"),
    View(
        "reduction_digits",
        "reduction",
        lines("model", DIGIT, DIGITS, ("digits/frozen", "digits/fresh"), "noise"),
        "digits/*",
    ),
    View("reduction_mnist", "reduction", lines("model", IMAGE, IMAGES), "mnist"),
    *MIXED_VIEWS,
    View(
        "survae_toys",
        "survae_toys",
        lines(
            "model",
            ("test_nll:.3f", "entropy:.3f", "excess:.3f", "seconds"),
            ("couplings", "AbsFlow"),
            task_label="toy",
        ),
    ),
    View("point_clouds", "point_clouds", lines("model", POINTS, ("independent",))),
    View(
        "survae_images",
        "survae_images",
        lines("model", SURVAE, ("LedoitWolf", "slice, uniform", "slice, variational"), (), "data"),
    ),
    *MULTISCALE_VIEWS,
    CONTRIBUTIONS_VIEW,
)
