/* The log-density of a mixture of Gaussians with triangular factors: see distributions/mixture.py.
 *
 * Component k whitens a row to y = (x - mean) U, U upper triangular: the diagonal is the exponential
 * of log_diagonal (K, d), what is above it stands in upper (K, d, d), the rest of which is not read.
 */

/* Rows as columns of ROWS numbers each; those that are missing from a block are zero. */
INLINE void NAMED(transposed)(const REAL *x, ptrdiff_t d, int n_rows, REAL *columns) {
    for (ptrdiff_t j = 0; j < d; j++)
        ROW_BY_ROW
        for (int r = 0; r < ROWS; r++) columns[j * ROWS + r] = r < n_rows ? x[r * d + j] : 0;
}

INLINE REAL NAMED(product)(const REAL *a, const REAL *b) {
    REAL total = 0;
#pragma omp simd reduction(+ : total)
    for (int r = 0; r < ROWS; r++) total += a[r] * b[r];
    return total;
}

/* Products of `a` with four columns, one after the other. */
INLINE void NAMED(four_products)(const REAL *a, const REAL *columns, REAL *totals) {
    const REAL *b = columns, *c = b + ROWS, *e = c + ROWS, *f = e + ROWS;
    REAL of_b = 0, of_c = 0, of_e = 0, of_f = 0;
#pragma omp simd reduction(+ : of_b, of_c, of_e, of_f)
    for (int r = 0; r < ROWS; r++) {
        of_b += a[r] * b[r];
        of_c += a[r] * c[r];
        of_e += a[r] * e[r];
        of_f += a[r] * f[r];
    }
    totals[0] = of_b;
    totals[1] = of_c;
    totals[2] = of_e;
    totals[3] = of_f;
}

INLINE REAL NAMED(total)(const REAL *a) {
    REAL total = 0;
#pragma omp simd reduction(+ : total)
    for (int r = 0; r < ROWS; r++) total += a[r];
    return total;
}

/* Whiten a block of columns by one component; leave the log of its weight times its density. */
INLINE void NAMED(whiten)(
    const REAL *columns, ptrdiff_t d, REAL log_weight, const REAL *mean, const REAL *log_diagonal,
    const REAL *upper, REAL *centred, REAL *white, REAL *joint
) {
    REAL constant = log_weight - (REAL)LOG_SQRT_2PI * (REAL)d;
    for (ptrdiff_t j = 0; j < d; j++) constant += log_diagonal[j];
    ROW_BY_ROW
    for (int r = 0; r < ROWS; r++) joint[r] = 0;
    for (ptrdiff_t j = 0; j < d; j++) {
        REAL diagonal = NAMED(vexp)(log_diagonal[j]);
        REAL *y = white + j * ROWS, *own = centred + j * ROWS;
        ROW_BY_ROW
        for (int r = 0; r < ROWS; r++) {
            own[r] = columns[j * ROWS + r] - mean[j];
            y[r] = own[r] * diagonal;
        }
        ptrdiff_t i = 0;
        for (; i + 4 <= j; i += 4) { /* four at a time: the sum stays in registers */
            const REAL *a = centred + i * ROWS, *b = a + ROWS, *c = b + ROWS, *e = c + ROWS;
            const REAL *u = upper + i * d + j;
            REAL u0 = u[0], u1 = u[d], u2 = u[2 * d], u3 = u[3 * d];
            ROW_BY_ROW
            for (int r = 0; r < ROWS; r++)
                y[r] += (a[r] * u0 + b[r] * u1) + (c[r] * u2 + e[r] * u3);
        }
        for (; i < j; i++) {
            REAL u = upper[i * d + j];
            ROW_BY_ROW
            for (int r = 0; r < ROWS; r++) y[r] += centred[i * ROWS + r] * u;
        }
        ROW_BY_ROW
        for (int r = 0; r < ROWS; r++) joint[r] += y[r] * y[r];
    }
    ROW_BY_ROW
    for (int r = 0; r < ROWS; r++) joint[r] = constant - (REAL)0.5 * joint[r];
}

/* The same for all components, and the largest of every row. `memory` is for 2 d ROWS numbers. */
INLINE void NAMED(all_joint)(
    const REAL *columns, ptrdiff_t d, ptrdiff_t n_components, const REAL *log_weights,
    const REAL *means, const REAL *log_diagonal, const REAL *upper, REAL *memory, REAL *joint,
    REAL *most
) {
    for (ptrdiff_t k = 0; k < n_components; k++) {
        REAL *of_k = joint + k * ROWS;
        NAMED(whiten)(
            columns, d, log_weights[k], means + k * d, log_diagonal + k * d, upper + k * d * d,
            memory, memory + d * ROWS, of_k
        );
        ROW_BY_ROW
        for (int r = 0; r < ROWS; r++) most[r] = k == 0 || of_k[r] > most[r] ? of_k[r] : most[r];
    }
}

/* scratch: (3 d + K) ROWS numbers */
VERSIONED void NAMED(mixture_forward)(
    const REAL *x, const REAL *log_weights, const REAL *means, const REAL *log_diagonal,
    const REAL *upper, REAL *log_prob, ptrdiff_t n, ptrdiff_t d, ptrdiff_t n_components,
    REAL *scratch
) {
    REAL *columns = scratch, *memory = columns + d * ROWS;
    REAL *joint = memory + 2 * d * ROWS, most[ROWS], sum[ROWS];
    for (ptrdiff_t i = 0; i < n; i += ROWS) {
        int n_rows = n - i < ROWS ? (int)(n - i) : ROWS;
        NAMED(transposed)(x + i * d, d, n_rows, columns);
        NAMED(all_joint)(
            columns, d, n_components, log_weights, means, log_diagonal, upper, memory, joint, most
        );
        ROW_BY_ROW
        for (int r = 0; r < ROWS; r++) sum[r] = 0;
        for (ptrdiff_t k = 0; k < n_components; k++)
            ROW_BY_ROW
            for (int r = 0; r < ROWS; r++)
                sum[r] += NAMED(vexp)(joint[k * ROWS + r] - most[r]);
        for (int r = 0; r < n_rows; r++) log_prob[i + r] = most[r] + NAMED(vlog)(sum[r]);
    }
}

/* From the gradient of log_prob, a row's at a stride, to those of all inputs; the gradients of
 * weights are zero at first. scratch: (4 d + 2) ROWS numbers */
VERSIONED void NAMED(mixture_backward)(
    const REAL *x, const REAL *log_weights, const REAL *means, const REAL *log_diagonal,
    const REAL *upper, const REAL *log_prob, const REAL *grad, ptrdiff_t grad_row, REAL *grad_x,
    REAL *grad_log_weights, REAL *grad_means, REAL *grad_log_diagonal, REAL *grad_upper,
    ptrdiff_t n, ptrdiff_t d, ptrdiff_t n_components, REAL *scratch
) {
    REAL *columns = scratch, *centred = columns + d * ROWS, *white = centred + d * ROWS;
    REAL *of_x = white + d * ROWS, *joint = of_x + d * ROWS, *share = joint + ROWS;
    for (ptrdiff_t i = 0; i < n; i += ROWS) {
        int n_rows = n - i < ROWS ? (int)(n - i) : ROWS;
        NAMED(transposed)(x + i * d, d, n_rows, columns);
        for (ptrdiff_t j = 0; j < d * ROWS; j++) of_x[j] = 0;
        for (ptrdiff_t k = 0; k < n_components; k++) {
            const REAL *logs = log_diagonal + k * d, *above = upper + k * d * d;
            NAMED(whiten)(
                columns, d, log_weights[k], means + k * d, logs, above, centred, white, joint
            );
            ROW_BY_ROW
            for (int r = 0; r < ROWS; r++) share[r] = 0;
            for (int r = 0; r < n_rows; r++)
                share[r] = grad[(i + r) * grad_row] * NAMED(vexp)(joint[r] - log_prob[i + r]);
            REAL sum = NAMED(total)(share);
            grad_log_weights[k] += sum;
            for (ptrdiff_t j = 0; j < d; j++) {
                REAL *pull = white + j * ROWS, diagonal = NAMED(vexp)(logs[j]);
                REAL *of_own = of_x + j * ROWS;
                ROW_BY_ROW
                for (int r = 0; r < ROWS; r++) {
                    pull[r] *= share[r]; /* minus the gradient of y */
                    of_own[r] -= pull[r] * diagonal;
                }
                REAL total = NAMED(total)(pull);
                grad_means[k * d + j] += total * diagonal;
                grad_log_diagonal[k * d + j] +=
                    sum - NAMED(product)(pull, centred + j * ROWS) * diagonal;
                for (ptrdiff_t l = 0; l < j; l++) {
                    REAL u = above[l * d + j], *of_l = of_x + l * ROWS;
                    ROW_BY_ROW
                    for (int r = 0; r < ROWS; r++) of_l[r] -= pull[r] * u;
                    grad_means[k * d + l] += total * u;
                }
                ptrdiff_t l = 0;
                for (; l + 4 <= j; l += 4) {
                    REAL four[4];
                    NAMED(four_products)(pull, centred + l * ROWS, four);
                    for (int q = 0; q < 4; q++) grad_upper[(k * d + l + q) * d + j] -= four[q];
                }
                for (; l < j; l++)
                    grad_upper[(k * d + l) * d + j] -= NAMED(product)(pull, centred + l * ROWS);
            }
        }
        for (ptrdiff_t j = 0; j < d; j++)
            for (int r = 0; r < n_rows; r++) grad_x[(i + r) * d + j] = of_x[j * ROWS + r];
    }
}

/* What a step of expectation maximisation sums over rows, added to the outputs in double precision:
 * the log-density, and for every component its share, and first and second moments about its
 * present mean, of the latter those with the first index up to the second.
 * scratch: (3 d + K + 1) ROWS numbers */
VERSIONED void NAMED(mixture_moments)(
    const REAL *x, const REAL *weight, const REAL *log_weights, const REAL *means,
    const REAL *log_diagonal, const REAL *upper, double *log_prob, double *sizes, double *firsts,
    double *seconds, ptrdiff_t n, ptrdiff_t d, ptrdiff_t n_components, REAL *scratch
) {
    REAL *columns = scratch, *centred = columns + d * ROWS, *white = centred + d * ROWS;
    REAL *joint = white + d * ROWS, *share = joint + n_components * ROWS;
    REAL most[ROWS], sum[ROWS], of_row[ROWS];
    for (ptrdiff_t i = 0; i < n; i += ROWS) {
        int n_rows = n - i < ROWS ? (int)(n - i) : ROWS;
        NAMED(transposed)(x + i * d, d, n_rows, columns);
        ROW_BY_ROW
        for (int r = 0; r < ROWS; r++)
            of_row[r] = r < n_rows ? (weight == NULL ? 1 : weight[i + r]) : 0;
        NAMED(all_joint)(
            columns, d, n_components, log_weights, means, log_diagonal, upper, centred, joint, most
        );
        ROW_BY_ROW
        for (int r = 0; r < ROWS; r++) sum[r] = 0;
        for (ptrdiff_t k = 0; k < n_components; k++)
            ROW_BY_ROW
            for (int r = 0; r < ROWS; r++) {
                REAL *of_k = joint + k * ROWS;
                of_k[r] = NAMED(vexp)(of_k[r] - most[r]);
                sum[r] += of_k[r];
            }
        ROW_BY_ROW
        for (int r = 0; r < ROWS; r++) most[r] = (most[r] + NAMED(vlog)(sum[r])) * of_row[r];
        *log_prob += NAMED(total)(most);
        ROW_BY_ROW
        for (int r = 0; r < ROWS; r++) sum[r] = of_row[r] / sum[r];
        for (ptrdiff_t k = 0; k < n_components; k++) {
            ROW_BY_ROW
            for (int r = 0; r < ROWS; r++) share[r] = joint[k * ROWS + r] * sum[r];
            REAL size = NAMED(total)(share);
            if (size < (REAL)NO_SHARE) continue;
            sizes[k] += size;
            for (ptrdiff_t j = 0; j < d; j++) {
                REAL *own = centred + j * ROWS, *pull = white + j * ROWS, mean = means[k * d + j];
                ROW_BY_ROW
                for (int r = 0; r < ROWS; r++) {
                    own[r] = columns[j * ROWS + r] - mean;
                    pull[r] = own[r] * share[r];
                }
                firsts[k * d + j] += NAMED(total)(pull);
                ptrdiff_t l = 0;
                for (; l + 4 <= j + 1; l += 4) {
                    REAL four[4];
                    NAMED(four_products)(pull, centred + l * ROWS, four);
                    for (int q = 0; q < 4; q++) seconds[(k * d + l + q) * d + j] += four[q];
                }
                for (; l <= j; l++)
                    seconds[(k * d + l) * d + j] += NAMED(product)(pull, centred + l * ROWS);
            }
        }
    }
}
