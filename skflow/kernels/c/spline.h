/* Monotone rational-quadratic splines, every element with its own: see rational_quadratic.py.
 *
 * Elements are (column j of m, row i of n). x and z are read and written in place by two strides;
 * parameters are (3 K - 1, m, n): K widths, K heights, K - 1 inner slopes, all raw. A line of them,
 * what one column has, is contiguous, and the next one begins a stride later, as in (m, n) results.
 * Rows are taken BLOCK at a time, and every loop over them is one of straight vector code.
 */

typedef struct {
    REAL x[BLOCK], position[BLOCK];               /* as given, and clamped to the interval */
    REAL max_x[BLOCK], max_y[BLOCK];              /* of the raw sizes */
    REAL per_x[BLOCK], per_y[BLOCK];              /* from exp(raw - max) to a bin's size */
    REAL knot_x[BLOCK], knot_y[BLOCK];            /* while the bins are walked through */
    REAL index[BLOCK];                            /* of the bin that the position is in */
    REAL left[BLOCK], width[BLOCK], bottom[BLOCK], height[BLOCK], raw0[BLOCK], raw1[BLOCK];
} NAMED(Located);

INLINE REAL NAMED(slope)(REAL raw) {
    REAL v = raw + (REAL)SLOPE_OFFSET;
    return (REAL)MIN_SLOPE + (v > 0 ? v : 0) + NAMED(vlog)(1 + NAMED(vexp)(v > 0 ? -v : v));
}

INLINE REAL NAMED(slope_rate)(REAL raw) { /* derivative of the slope: a sigmoid */
    REAL v = raw + (REAL)SLOPE_OFFSET, small = NAMED(vexp)(v > 0 ? -v : v);
    return (v > 0 ? 1 : small) / (1 + small);
}

INLINE int NAMED(is_inside)(REAL x, REAL bound) { return (x > -bound) & (x < bound); }

/* Find every row's bin; leave exp(raw - max) of all sizes in exp_x and exp_y, (K, BLOCK) each. */
INLINE void NAMED(locate)(
    NAMED(Located) * at, const REAL *x, ptrdiff_t stride_x, const REAL *parameters,
    ptrdiff_t stride, int n_bins, int n_rows, REAL bound, int by_y, REAL *exp_x, REAL *exp_y
) {
    const REAL smallest = 2 * bound * (REAL)MIN_BIN;
    const REAL shared = 2 * bound * (1 - (REAL)MIN_BIN * n_bins);
    const REAL *raw_x = parameters, *raw_y = raw_x + n_bins * stride;
    const REAL *slopes = raw_y + n_bins * stride;
    ROW_BY_ROW
    for (int r = 0; r < n_rows; r++) {
        REAL v = x[r * stride_x];
        at->x[r] = v;
        v = v > -bound ? v : -bound;
        at->position[r] = v < bound ? v : bound;
        at->max_x[r] = raw_x[r];
        at->max_y[r] = raw_y[r];
        at->per_x[r] = at->per_y[r] = 0;
    }
    for (int k = 1; k < n_bins; k++)
        ROW_BY_ROW
        for (int r = 0; r < n_rows; r++) {
            REAL of_x = raw_x[k * stride + r], of_y = raw_y[k * stride + r];
            at->max_x[r] = of_x > at->max_x[r] ? of_x : at->max_x[r];
            at->max_y[r] = of_y > at->max_y[r] ? of_y : at->max_y[r];
        }
    for (int k = 0; k < n_bins; k++)
        ROW_BY_ROW
        for (int r = 0; r < n_rows; r++) {
            REAL of_x = NAMED(vexp)(raw_x[k * stride + r] - at->max_x[r]);
            REAL of_y = NAMED(vexp)(raw_y[k * stride + r] - at->max_y[r]);
            exp_x[k * BLOCK + r] = of_x;
            exp_y[k * BLOCK + r] = of_y;
            at->per_x[r] += of_x;
            at->per_y[r] += of_y;
        }
    ROW_BY_ROW
    for (int r = 0; r < n_rows; r++) {
        at->per_x[r] = shared / at->per_x[r];
        at->per_y[r] = shared / at->per_y[r];
        at->index[r] = 0;
        at->left[r] = at->bottom[r] = -bound;
        at->width[r] = smallest + at->per_x[r] * exp_x[r];
        at->height[r] = smallest + at->per_y[r] * exp_y[r];
        at->knot_x[r] = -bound + at->width[r];
        at->knot_y[r] = -bound + at->height[r];
        at->raw0[r] = at->raw1[r] = 0; /* at both ends of the interval the slope is 1 */
    }
    for (int k = 1; k < n_bins; k++) {
        const REAL *here = slopes + (k - 1) * stride;
        ROW_BY_ROW
        for (int r = 0; r < n_rows; r++) {
            REAL left = at->knot_x[r], bottom = at->knot_y[r];
            int reached = at->position[r] >= (by_y ? bottom : left);
            REAL width = smallest + at->per_x[r] * exp_x[k * BLOCK + r];
            REAL height = smallest + at->per_y[r] * exp_y[k * BLOCK + r];
            REAL raw = here[r];
            /* The slope at this knot ends the bin before it, where that is the row's. */
            int ends = !reached & (at->index[r] == (REAL)(k - 1));
            at->raw1[r] = ends ? raw : at->raw1[r];
            at->raw0[r] = reached ? raw : at->raw0[r];
            at->index[r] = reached ? (REAL)k : at->index[r];
            at->left[r] = reached ? left : at->left[r];
            at->width[r] = reached ? width : at->width[r];
            at->bottom[r] = reached ? bottom : at->bottom[r];
            at->height[r] = reached ? height : at->height[r];
            at->knot_x[r] = left + width;
            at->knot_y[r] = bottom + height;
        }
    }
}

VERSIONED void NAMED(spline_forward)(
    const REAL *x, ptrdiff_t x_column, ptrdiff_t x_row, const REAL *parameters, ptrdiff_t line,
    REAL *z, ptrdiff_t z_column, ptrdiff_t z_row, REAL *log_derivative, ptrdiff_t log_line,
    ptrdiff_t m, ptrdiff_t n, int n_bins, double bound_, REAL *scratch
) {
    const REAL bound = (REAL)bound_;
    NAMED(Located) at;
    for (ptrdiff_t i = 0; i < n; i += BLOCK)
        for (ptrdiff_t j = 0; j < m; j++) {
            int n_rows = n - i < BLOCK ? (int)(n - i) : BLOCK;
            NAMED(locate)(
                &at, x + j * x_column + i * x_row, x_row, parameters + j * line + i, m * line, n_bins,
                n_rows, bound, 0, scratch, scratch + n_bins * BLOCK
            );
            REAL *out = z + j * z_column + i * z_row, *log_out = log_derivative + j * log_line + i;
            REAL value[BLOCK];
            ROW_BY_ROW
            for (int r = 0; r < n_rows; r++) {
                REAL slope0 = NAMED(slope)(at.raw0[r]), slope1 = NAMED(slope)(at.raw1[r]);
                REAL xi = (at.position[r] - at.left[r]) / at.width[r];
                REAL s = at.height[r] / at.width[r], rest = 1 - xi, t = xi * rest;
                REAL numerator = s * xi * xi + slope0 * t;
                REAL denominator = s + (slope0 + slope1 - 2 * s) * t;
                REAL rate = slope1 * xi * xi + 2 * s * t + slope0 * rest * rest;
                REAL steepness = s / denominator;
                int inside = NAMED(is_inside)(at.x[r], bound);
                value[r] = inside ? at.bottom[r] + at.height[r] * (numerator / denominator) : at.x[r];
                log_out[r] = inside ? NAMED(vlog)(steepness * steepness * rate) : 0;
            }
            ROW_BY_ROW
            for (int r = 0; r < n_rows; r++) out[r * z_row] = value[r];
        }
}

VERSIONED void NAMED(spline_inverse)(
    const REAL *z, ptrdiff_t z_column, ptrdiff_t z_row, const REAL *parameters, ptrdiff_t line,
    REAL *x, ptrdiff_t x_column, ptrdiff_t x_row,
    ptrdiff_t m, ptrdiff_t n, int n_bins, double bound_, REAL *scratch
) {
    const REAL bound = (REAL)bound_;
    NAMED(Located) at;
    for (ptrdiff_t i = 0; i < n; i += BLOCK)
        for (ptrdiff_t j = 0; j < m; j++) {
            int n_rows = n - i < BLOCK ? (int)(n - i) : BLOCK;
            NAMED(locate)(
                &at, z + j * z_column + i * z_row, z_row, parameters + j * line + i, m * line, n_bins,
                n_rows, bound, 1, scratch, scratch + n_bins * BLOCK
            );
            REAL *out = x + j * x_column + i * x_row, value[BLOCK];
            ROW_BY_ROW
            for (int r = 0; r < n_rows; r++) {
                REAL slope0 = NAMED(slope)(at.raw0[r]), slope1 = NAMED(slope)(at.raw1[r]);
                REAL s = at.height[r] / at.width[r];
                REAL share = (at.position[r] - at.bottom[r]) / at.height[r];
                REAL curvature = (slope0 + slope1 - 2 * s) * share;
                REAL a = s - slope0 + curvature, b = slope0 - curvature, c = -s * share;
                REAL discriminant = b * b - 4 * a * c;
                REAL xi = -2 * c / (b + SQUARE_ROOT(discriminant > 0 ? discriminant : 0));
                xi = xi > 0 ? xi : 0;
                xi = xi < 1 ? xi : 1;
                int inside = NAMED(is_inside)(at.x[r], bound);
                value[r] = inside ? at.left[r] + xi * at.width[r] : at.x[r];
            }
            ROW_BY_ROW
            for (int r = 0; r < n_rows; r++) out[r * x_row] = value[r];
        }
}

/* From the gradients of z and of the log-derivative to those of x and of the parameters. */
VERSIONED void NAMED(spline_backward)(
    const REAL *x, ptrdiff_t x_column, ptrdiff_t x_row, const REAL *parameters, ptrdiff_t line,
    const REAL *grad_z, ptrdiff_t gz_column, ptrdiff_t gz_row,
    const REAL *grad_log, ptrdiff_t gl_column, ptrdiff_t gl_row,
    REAL *grad_x, ptrdiff_t gx_column, ptrdiff_t gx_row, REAL *grad_parameters, ptrdiff_t grad_line,
    ptrdiff_t m, ptrdiff_t n, int n_bins, double bound_, REAL *scratch
) {
    const REAL bound = (REAL)bound_;
    const REAL smallest = 2 * bound * (REAL)MIN_BIN;
    const REAL shared = 2 * bound * (1 - (REAL)MIN_BIN * n_bins);
    REAL *exp_x = scratch, *exp_y = scratch + n_bins * BLOCK;
    NAMED(Located) at;
    REAL of_left[BLOCK], of_width[BLOCK], of_bottom[BLOCK], of_height[BLOCK], of_raw0[BLOCK],
        of_raw1[BLOCK], mean_x[BLOCK], mean_y[BLOCK], of_x[BLOCK];
    for (ptrdiff_t i = 0; i < n; i += BLOCK)
        for (ptrdiff_t j = 0; j < m; j++) {
            int n_rows = n - i < BLOCK ? (int)(n - i) : BLOCK;
            NAMED(locate)(
                &at, x + j * x_column + i * x_row, x_row, parameters + j * line + i, m * line, n_bins,
                n_rows, bound, 0, exp_x, exp_y
            );
            const REAL *from_z = grad_z + j * gz_column + i * gz_row;
            const REAL *from_log = grad_log + j * gl_column + i * gl_row;
            ROW_BY_ROW
            for (int r = 0; r < n_rows; r++) {
                of_bottom[r] = from_z[r * gz_row];
                of_width[r] = from_log[r * gl_row];
            }
            ROW_BY_ROW
            for (int r = 0; r < n_rows; r++) {
                int inside = NAMED(is_inside)(at.x[r], bound);
                REAL g = inside ? of_bottom[r] : 0, q = inside ? of_width[r] : 0;
                REAL slope0 = NAMED(slope)(at.raw0[r]), slope1 = NAMED(slope)(at.raw1[r]);
                REAL per_width = 1 / at.width[r], height = at.height[r], s = height * per_width;
                REAL xi = (at.position[r] - at.left[r]) * per_width, rest = 1 - xi, t = xi * rest;
                REAL tilt = rest - xi; /* derivative of t */
                REAL numerator = s * xi * xi + slope0 * t;
                REAL denominator = s + (slope0 + slope1 - 2 * s) * t;
                REAL rate = slope1 * xi * xi + 2 * s * t + slope0 * rest * rest;
                REAL ratio = numerator / denominator;
                REAL of_numerator = g * height / denominator;
                REAL of_denominator = -(of_numerator * ratio + 2 * q / denominator);
                REAL of_rate = q / rate;
                REAL of_s = of_numerator * xi * xi + of_denominator * (1 - 2 * t)
                    + 2 * (of_rate * t + q / s);
                REAL of_xi = of_numerator * (2 * s * xi + slope0 * tilt)
                    + of_denominator * (slope0 + slope1 - 2 * s) * tilt
                    + 2 * of_rate * (slope1 * xi + s * tilt - slope0 * rest);
                REAL of_position = of_xi * per_width;
                of_x[r] = inside ? of_position : of_bottom[r];
                of_left[r] = -of_position;
                of_bottom[r] = g;
                of_width[r] = -(of_s * s + of_xi * xi) * per_width;
                of_height[r] = g * ratio + of_s * per_width;
                of_raw0[r] = NAMED(slope_rate)(at.raw0[r])
                    * ((of_numerator + of_denominator) * t + of_rate * rest * rest);
                of_raw1[r] = NAMED(slope_rate)(at.raw1[r]) * (of_denominator * t + of_rate * xi * xi);
                /* Back through softmax and sum: less the mean under the shares of the bins. */
                REAL before_x = (at.left[r] + bound - at.index[r] * smallest) / shared;
                REAL before_y = (at.bottom[r] + bound - at.index[r] * smallest) / shared;
                mean_x[r] = of_left[r] * before_x
                    + of_width[r] * ((at.width[r] - smallest) / shared);
                mean_y[r] = of_bottom[r] * before_y
                    + of_height[r] * ((height - smallest) / shared);
            }
            REAL *to_x = grad_x + j * gx_column + i * gx_row;
            ROW_BY_ROW
            for (int r = 0; r < n_rows; r++) to_x[r * gx_row] = of_x[r];
            const ptrdiff_t stride = m * grad_line;
            REAL *to_widths = grad_parameters + j * grad_line + i;
            REAL *to_heights = to_widths + n_bins * stride;
            REAL *to_slopes = to_heights + n_bins * stride;
            for (int k = 0; k < n_bins; k++)
                ROW_BY_ROW
                for (int r = 0; r < n_rows; r++) {
                    int before = at.index[r] > (REAL)k, here = at.index[r] == (REAL)k;
                    REAL to_x_size = before ? of_left[r] : here ? of_width[r] : 0;
                    REAL to_y_size = before ? of_bottom[r] : here ? of_height[r] : 0;
                    to_widths[k * stride + r] =
                        (to_x_size - mean_x[r]) * exp_x[k * BLOCK + r] * at.per_x[r];
                    to_heights[k * stride + r] =
                        (to_y_size - mean_y[r]) * exp_y[k * BLOCK + r] * at.per_y[r];
                }
            for (int k = 1; k < n_bins; k++)
                ROW_BY_ROW
                for (int r = 0; r < n_rows; r++) {
                    REAL starts = at.index[r] == (REAL)k ? of_raw0[r] : 0;
                    REAL ends = at.index[r] == (REAL)(k - 1) ? of_raw1[r] : 0;
                    to_slopes[(k - 1) * stride + r] = starts + ends;
                }
        }
}
