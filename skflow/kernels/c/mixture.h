/* The log-density of a mixture of Gaussians with triangular factors: see distributions/mixture.py.
 *
 * Component k whitens a row to y = (x - mean) U, U upper triangular: the diagonal is the exponential
 * of log_diagonal (K, d), what is above it stands in upper (K, d, d), the rest of which is not read.
 */

/* Rows as columns of BLOCK numbers each; those that are missing from a block are zero. */
INLINE void NAMED(transposed)(const REAL *x, ptrdiff_t d, int n_rows, REAL *columns) {
    for (ptrdiff_t j = 0; j < d; j++)
        for (int r = 0; r < BLOCK; r++) columns[j * BLOCK + r] = r < n_rows ? x[r * d + j] : 0;
}

INLINE REAL NAMED(product)(const REAL *a, const REAL *b) {
    REAL total = 0;
#pragma omp simd reduction(+ : total)
    for (int r = 0; r < BLOCK; r++) total += a[r] * b[r];
    return total;
}

INLINE REAL NAMED(total)(const REAL *a) {
    REAL total = 0;
#pragma omp simd reduction(+ : total)
    for (int r = 0; r < BLOCK; r++) total += a[r];
    return total;
}

/* Whiten a block of columns by one component; leave the log of its weight times its density. */
INLINE void NAMED(whiten)(
    const REAL *columns, ptrdiff_t d, REAL log_weight, const REAL *mean, const REAL *log_diagonal,
    const REAL *upper, REAL *centred, REAL *white, REAL *joint
) {
    REAL constant = log_weight - (REAL)LOG_SQRT_2PI * (REAL)d;
    for (ptrdiff_t j = 0; j < d; j++) constant += log_diagonal[j];
    for (int r = 0; r < BLOCK; r++) joint[r] = 0;
    for (ptrdiff_t j = 0; j < d; j++) {
        REAL diagonal = NAMED(vexp)(log_diagonal[j]);
        REAL *y = white + j * BLOCK, *own = centred + j * BLOCK;
        for (int r = 0; r < BLOCK; r++) {
            own[r] = columns[j * BLOCK + r] - mean[j];
            y[r] = own[r] * diagonal;
        }
        for (ptrdiff_t i = 0; i < j; i++) {
            REAL u = upper[i * d + j];
            for (int r = 0; r < BLOCK; r++) y[r] += centred[i * BLOCK + r] * u;
        }
        for (int r = 0; r < BLOCK; r++) joint[r] += y[r] * y[r];
    }
    for (int r = 0; r < BLOCK; r++) joint[r] = constant - (REAL)0.5 * joint[r];
}

/* scratch: (3 d + K) BLOCK numbers */
VERSIONED void NAMED(mixture_forward)(
    const REAL *x, const REAL *log_weights, const REAL *means, const REAL *log_diagonal,
    const REAL *upper, REAL *log_prob, ptrdiff_t n, ptrdiff_t d, ptrdiff_t n_components,
    REAL *scratch
) {
    REAL *columns = scratch, *centred = columns + d * BLOCK, *white = centred + d * BLOCK;
    REAL *joint = white + d * BLOCK, most[BLOCK], sum[BLOCK];
    for (ptrdiff_t i = 0; i < n; i += BLOCK) {
        int n_rows = n - i < BLOCK ? (int)(n - i) : BLOCK;
        NAMED(transposed)(x + i * d, d, n_rows, columns);
        for (ptrdiff_t k = 0; k < n_components; k++) {
            REAL *of_k = joint + k * BLOCK;
            NAMED(whiten)(
                columns, d, log_weights[k], means + k * d, log_diagonal + k * d, upper + k * d * d,
                centred, white, of_k
            );
            for (int r = 0; r < BLOCK; r++)
                most[r] = k == 0 || of_k[r] > most[r] ? of_k[r] : most[r];
        }
        for (int r = 0; r < BLOCK; r++) sum[r] = 0;
        for (ptrdiff_t k = 0; k < n_components; k++)
            for (int r = 0; r < BLOCK; r++)
                sum[r] += NAMED(vexp)(joint[k * BLOCK + r] - most[r]);
        for (int r = 0; r < n_rows; r++) log_prob[i + r] = most[r] + NAMED(vlog)(sum[r]);
    }
}

/* From the gradient of log_prob, a row's at a stride, to those of all inputs; the gradients of
 * weights are zero at first. scratch: (4 d + 2) BLOCK numbers */
VERSIONED void NAMED(mixture_backward)(
    const REAL *x, const REAL *log_weights, const REAL *means, const REAL *log_diagonal,
    const REAL *upper, const REAL *log_prob, const REAL *grad, ptrdiff_t grad_row, REAL *grad_x,
    REAL *grad_log_weights, REAL *grad_means, REAL *grad_log_diagonal, REAL *grad_upper,
    ptrdiff_t n, ptrdiff_t d, ptrdiff_t n_components, REAL *scratch
) {
    REAL *columns = scratch, *centred = columns + d * BLOCK, *white = centred + d * BLOCK;
    REAL *of_x = white + d * BLOCK, *joint = of_x + d * BLOCK, *share = joint + BLOCK;
    for (ptrdiff_t i = 0; i < n; i += BLOCK) {
        int n_rows = n - i < BLOCK ? (int)(n - i) : BLOCK;
        NAMED(transposed)(x + i * d, d, n_rows, columns);
        for (ptrdiff_t j = 0; j < d * BLOCK; j++) of_x[j] = 0;
        for (ptrdiff_t k = 0; k < n_components; k++) {
            const REAL *logs = log_diagonal + k * d, *above = upper + k * d * d;
            NAMED(whiten)(
                columns, d, log_weights[k], means + k * d, logs, above, centred, white, joint
            );
            for (int r = 0; r < BLOCK; r++) share[r] = 0;
            for (int r = 0; r < n_rows; r++)
                share[r] = grad[(i + r) * grad_row] * NAMED(vexp)(joint[r] - log_prob[i + r]);
            REAL sum = NAMED(total)(share);
            grad_log_weights[k] += sum;
            for (ptrdiff_t j = 0; j < d; j++) {
                REAL *pull = white + j * BLOCK, diagonal = NAMED(vexp)(logs[j]);
                REAL *of_own = of_x + j * BLOCK;
                for (int r = 0; r < BLOCK; r++) {
                    pull[r] *= share[r]; /* minus the gradient of y */
                    of_own[r] -= pull[r] * diagonal;
                }
                REAL total = NAMED(total)(pull);
                grad_means[k * d + j] += total * diagonal;
                grad_log_diagonal[k * d + j] +=
                    sum - NAMED(product)(pull, centred + j * BLOCK) * diagonal;
                for (ptrdiff_t l = 0; l < j; l++) {
                    REAL u = above[l * d + j], *of_l = of_x + l * BLOCK;
                    for (int r = 0; r < BLOCK; r++) of_l[r] -= pull[r] * u;
                    grad_means[k * d + l] += total * u;
                    grad_upper[(k * d + l) * d + j] -= NAMED(product)(pull, centred + l * BLOCK);
                }
            }
        }
        for (ptrdiff_t j = 0; j < d; j++)
            for (int r = 0; r < n_rows; r++) grad_x[(i + r) * d + j] = of_x[j * BLOCK + r];
    }
}
