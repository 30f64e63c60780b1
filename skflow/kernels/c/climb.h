/* Expectation maximisation of a mixture of Gaussians: see mixture_climb.py.
 *
 * Sums over rows are of REALs, added up in double precision; what is made of them is of doubles.
 */

#ifndef NUMBERS_TO_CLIMB
#define NUMBERS_TO_CLIMB(d, n_components) ((n_components) * (2 + 3 * (d) + 2 * (d) * (d)) + (d) * (d))
#endif

/* From a covariance (d, d) to the triangular factor; whether it is definite. `root` is for d d. */
static int NAMED(factorise)(
    const double *covariance, double regularisation, ptrdiff_t d, double *root,
    double *log_diagonal, double *upper
) {
    for (ptrdiff_t i = 0; i < d; i++)
        for (ptrdiff_t j = 0; j <= i; j++) {
            double sum = covariance[i * d + j] + (i == j ? regularisation : 0);
            for (ptrdiff_t l = 0; l < j; l++) sum -= root[i * d + l] * root[j * d + l];
            if (i == j) {
                if (!(sum > 0) || !(sum < HUGE_VAL)) return 0;
                root[i * d + i] = sqrt(sum);
            } else {
                root[i * d + j] = sum / root[j * d + j];
            }
        }
    /* The inverse of the root, line by line; transposed it is the factor. */
    for (ptrdiff_t j = 0; j < d; j++) {
        log_diagonal[j] = -log(root[j * d + j]);
        for (ptrdiff_t i = 0; i < d; i++) upper[j * d + i] = 0;
    }
    for (ptrdiff_t j = 0; j < d; j++) /* column j of the inverse is line j of the factor */
        for (ptrdiff_t i = j + 1; i < d; i++) {
            double sum = root[i * d + j] / root[j * d + j];
            for (ptrdiff_t l = j + 1; l < i; l++) sum += root[i * d + l] * upper[j * d + l];
            upper[j * d + i] = -sum / root[i * d + i];
        }
    return 1;
}

/* Iterate until the mean log-density gains less than `min_gain`; set it and return 1 if that was
 * reached, 0 if `max_iter` came first and -1 where a covariance was not definite. */
static int NAMED(mixture_climb)(
    const REAL *x, const REAL *weight, ptrdiff_t n, ptrdiff_t d, ptrdiff_t n_components,
    double n_rows, double regularisation, double min_gain, ptrdiff_t max_iter, double last,
    double *log_weights, double *means, double *covariances, double *log_diagonal, double *upper,
    double *mean, double *memory, REAL *scratch /* NUMBERS_TO_CLIMB, (3 d + K + 1) ROWS */
) {
    const ptrdiff_t k_d = n_components * d, k_d_d = k_d * d;
    double *sizes = memory, *firsts = sizes + n_components, *seconds = firsts + k_d;
    double *root = seconds + k_d_d;
    REAL *own_weights = (REAL *)(root + d * d), *own_means = own_weights + n_components;
    REAL *own_diagonal = own_means + k_d, *own_upper = own_diagonal + k_d;
    for (ptrdiff_t iteration = 0; iteration < max_iter; iteration++) {
        for (ptrdiff_t k = 0; k < n_components; k++) own_weights[k] = (REAL)log_weights[k];
        for (ptrdiff_t i = 0; i < k_d; i++) {
            own_means[i] = (REAL)means[i];
            own_diagonal[i] = (REAL)log_diagonal[i];
        }
        for (ptrdiff_t i = 0; i < k_d_d; i++) own_upper[i] = (REAL)upper[i];
        memset(sizes, 0, (n_components + k_d + k_d_d) * sizeof(double));
        double total = 0;
        NAMED(mixture_moments)(
            x, weight, own_weights, own_means, own_diagonal, own_upper, &total, sizes, firsts,
            seconds, n, d, n_components, scratch
        );
        *mean = total / n_rows;
        double of_all = 0;
        for (ptrdiff_t k = 0; k < n_components; k++) of_all += sizes[k] += LEAST_ROWS;
        for (ptrdiff_t k = 0; k < n_components; k++) {
            double *shift = firsts + k * d, *covariance = covariances + k * d * d;
            log_weights[k] = log(sizes[k] / of_all);
            for (ptrdiff_t j = 0; j < d; j++) {
                shift[j] /= sizes[k];
                means[k * d + j] += shift[j];
                for (ptrdiff_t l = 0; l <= j; l++)
                    covariance[l * d + j] = covariance[j * d + l] =
                        seconds[(k * d + l) * d + j] / sizes[k] - shift[l] * shift[j];
            }
            if (!NAMED(factorise)(
                    covariance, regularisation, d, root, log_diagonal + k * d, upper + k * d * d
                ))
                return -1;
        }
        double gain = *mean - last;
        if (gain < min_gain && gain > -min_gain) return 1;
        last = *mean;
    }
    return 0;
}
