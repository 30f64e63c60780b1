"""NormalizingFlow: the plain flow, and the default for a numeric table."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import ClassVar

from skflow._compat import StrOptions
from skflow.architectures.couplings import coupling_stack, make_family, network_sizes
from skflow.estimators.numeric_flow import NumericFlow
from skflow.estimators.parameters import AtLeastZero, Auto, Bins
from skflow.transforms import Autoregressive, Coupling


@dataclass(kw_only=True, eq=False, repr=False)
class NormalizingFlow(NumericFlow):
    """Density of a numeric table by a normalizing flow.

    The flow starts as the best classical density on held-out rows (a Gaussian mixture, a Gaussian
    copula, a whitened Gaussian; chosen in seconds) and trains couplings, the identity at first,
    on top of it. Training replaces the start only if that is better on held-out rows.

    Parameters
    ----------
    architecture : {"spline_coupling", "affine_coupling", "additive_coupling", \
            "spline_autoregressive", "affine_autoregressive"}, default="spline_coupling"
        Couplings score and sample in one pass. Autoregressive maps are often a little sharper and
        take n_features passes to sample.
    start : {"auto", "standard", "whiten", "marginal"}, default="auto"
        The fixed map in front: standardised columns, whitened columns (shrunk covariance), or
        every column mapped to a normal through its quantiles (with or without whitening after
        it). "auto" chooses by held-out likelihood; below 3,000 rows, by that of four folds.
    base : {"auto", "normal", "mixture", "student_t"}, default="auto"
        The density of the latent rows. "auto" chooses a normal or a Gaussian mixture.
    n_layers : int or "auto", default="auto"
        Learned layers: 4, or 2 below 100 rows.
    hidden_layer_sizes : tuple of int or "auto", default="auto"
        Of each layer's network: (128, 128) from 5,000 rows on, (64, 64) from 500 on, else
        (32, 32).
    n_bins : int, default=8
        Bins of each spline.
    max_mixture_components : int, default=32
        Most components that a mixture base may have.
    bounds : list of pairs or dict {column: pair}, default=None
        Lower and upper bound per column, by name or position, in units of X, None or infinite for
        none. The density is zero outside; for columns on a lattice, whose levels stand for cells,
        from half a step further on.
    contamination : float in (0, 0.5], default=None
        Share of outliers. When set, the estimator is an outlier detector too: `predict`,
        `fit_predict`, `decision_function`.
    max_iter : int, default=100
        Most passes over the rows.
    batch_size : int or "auto", default="auto"
        Rows per step: a twentieth of the table between 64 and 512, more from 100,000 rows on.
    learning_rate_init : float, default=1e-3
        AdamW's step after the warm-up.
    weight_decay : float, default=1e-4
        On the networks' matrices.
    noise : float or "auto", default="auto"
        Standard deviation of Gaussian noise added to the encoded training rows, afresh in every
        epoch. "auto" is ``0.1 * n ** (-1 / (d + 4))`` below 5,000 rows and none above.
    early_stopping : bool, default=True
        Hold out rows, stop when they stop improving and keep the best weights, the start counting
        as epoch 0. With False all rows are trained on for ``max_iter`` epochs.
    validation_fraction : float, default=0.1
        Share of the rows held out, at least five rows. Below 20 rows nothing is held out and the
        flow stays at its start.
    n_iter_no_change : int or "auto", default="auto"
        Epochs without improvement after which the step is cut; a third of them from the first cut
        on. A cut that brings nothing is the last, as is the second. "auto" is 5 from 5,000 training
        rows on, else 10.
    tol : float, default=1e-4
        Smallest improvement of the held-out score that counts, in nats.
    max_time : float, default=None
        Seconds for all of `fit`: the choice of the start ends after half of them, at what it has
        found; the training at the limit, with the best weights so far.
    warm_start : bool, default=False
        Whether `fit` goes on from the present weights. Then parameters that say how the model is
        built, not how it is trained, must be those it was built by.
    random_state : int, RandomState instance or None, default=None
        An int gives the same model bit for bit on the same machine.
    device : str, default="auto"
        "auto" is CUDA where there is one. Any torch device string.
    dtype : {"float32", "float64"}, default="float32"
        Precision of the training. Scores are computed in float64.
    verbose : int, default=0
        Print the progress every tenth epoch; at 10, every epoch.

    Attributes
    ----------
    flow_ : skflow.flow.Flow
        The fitted density, in float64.
    n_features_in_ : int
    feature_names_in_ : ndarray of shape (n_features_in,)
        Where ``X`` had string column names.
    n_components_ : int
        Width of the latent space.
    n_iter_ : int
        Epochs run.
    best_iter_ : int
        The epoch whose weights were kept; 0 is the start. Without early stopping the last one.
    start_ : dict
        The chosen start.
    start_score_, best_score_ : float
        Mean held-out log-density before and after training; nan where nothing was held out.
    history_ : dict of lists
        Per epoch: "train_loss" and "validation_score" in nats (nan where nothing was held out),
        "learning_rate", "seconds".
    exact_ : bool
        True: `score_samples` is the log-density itself.
    bound_gap_ : float
        0: there is no gap between the scores and the log-density.
    noise_floor_ : ndarray of shape (n_features_in,)
        Width of the uniform noise given to columns that repeat their values; 0 elsewhere.
    bounds_ : (lower, upper) arrays of shape (n_features_in,), or None
        ``bounds`` as arrays; samples stay within them.
    offset_ : float
        With ``contamination``: the weighted quantile of the scores of all rows given to `fit`.

    References
    ----------
    Durkan, Bekasov, Murray, Papamakarios (2019), "Neural Spline Flows", arXiv:1906.04032.
    Papamakarios, Nalisnick, Rezende, Mohamed, Lakshminarayanan (2021), "Normalizing Flows for
    Probabilistic Modeling and Inference", arXiv:1912.02762.

    Examples
    --------
    >>> from sklearn.datasets import make_moons
    >>> from skflow import NormalizingFlow
    >>> X, _ = make_moons(300, noise=0.1, random_state=0)
    >>> flow = NormalizingFlow(random_state=0).fit(X[:200])
    >>> flow.score_samples(X[200:]).shape
    (100,)
    >>> flow.sample(3, random_state=0).shape
    (3, 2)
    """

    architecture: str = field(default="spline_coupling", kw_only=False)
    n_layers: int | str = "auto"
    hidden_layer_sizes: Sequence[int] | str = "auto"
    n_bins: int = 8

    _parameter_constraints: ClassVar[dict] = {
        **NumericFlow._parameter_constraints,
        "architecture": [
            StrOptions(
                {
                    "spline_coupling",
                    "affine_coupling",
                    "additive_coupling",
                    "spline_autoregressive",
                    "affine_autoregressive",
                }
            )
        ],
        "n_layers": [AtLeastZero, Auto],
        "hidden_layer_sizes": ["array-like", Auto],
        "n_bins": [Bins],
    }

    def _plan(self, n_rows, n_features):
        n_layers = self.n_layers
        if n_layers == "auto":
            n_layers = 2 if n_rows < 100 else 4
        return {
            "architecture": self.architecture,
            "n_layers": n_layers,
            "hidden_layer_sizes": network_sizes(self.hidden_layer_sizes, n_rows),
            "n_bins": self.n_bins,
        }

    def _learned(self, plan, base, generator, *, ordered):
        kind, layer = plan["architecture"].split("_")
        stack = coupling_stack(
            base.n_features,
            plan["n_layers"],
            make_family(kind, plan["n_bins"]),
            plan["hidden_layer_sizes"],
            generator,
            build=Coupling if layer == "coupling" else Autoregressive,
        )
        return stack, base
