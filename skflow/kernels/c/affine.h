/* z = x exp(a) + b with a = MAX_LOG_SCALE tanh(raw / MAX_LOG_SCALE): see families.py.
 *
 * Elements as in spline.h; parameters are (2, m, n): raw log-scales, then shifts.
 */

INLINE REAL NAMED(vtanh)(REAL v) {
    v = v < 20 ? v : 20; /* 1 from there on, in either precision */
    v = v > -20 ? v : -20;
    REAL e = NAMED(vexp)(2 * v);
    return (e - 1) / (e + 1);
}

VERSIONED void NAMED(affine_forward)(
    const REAL *x, ptrdiff_t x_column, ptrdiff_t x_row, const REAL *parameters, ptrdiff_t line,
    REAL *z, ptrdiff_t z_column, ptrdiff_t z_row, REAL *log_derivative, ptrdiff_t log_line,
    ptrdiff_t m, ptrdiff_t n
) {
    for (ptrdiff_t i = 0; i < n; i += BLOCK)
        for (ptrdiff_t j = 0; j < m; j++) {
            int n_rows = n - i < BLOCK ? (int)(n - i) : BLOCK;
            const REAL *raw = parameters + j * line + i, *shift = raw + m * line;
            const REAL *in = x + j * x_column + i * x_row;
            REAL *out = z + j * z_column + i * z_row, *log_out = log_derivative + j * log_line + i;
            REAL value[BLOCK];
            for (int r = 0; r < n_rows; r++) value[r] = in[r * x_row];
            for (int r = 0; r < n_rows; r++) {
                REAL log_scale =
                    (REAL)MAX_LOG_SCALE * NAMED(vtanh)(raw[r] * (REAL)(1 / MAX_LOG_SCALE));
                value[r] = value[r] * NAMED(vexp)(log_scale) + shift[r];
                log_out[r] = log_scale;
            }
            for (int r = 0; r < n_rows; r++) out[r * z_row] = value[r];
        }
}

/* From the gradients of z and of the log-derivative to those of x and of the parameters. */
VERSIONED void NAMED(affine_backward)(
    const REAL *x, ptrdiff_t x_column, ptrdiff_t x_row, const REAL *parameters, ptrdiff_t line,
    const REAL *grad_z, ptrdiff_t gz_column, ptrdiff_t gz_row,
    const REAL *grad_log, ptrdiff_t gl_column, ptrdiff_t gl_row,
    REAL *grad_x, ptrdiff_t gx_column, ptrdiff_t gx_row, REAL *grad_parameters, ptrdiff_t grad_line,
    ptrdiff_t m, ptrdiff_t n
) {
    for (ptrdiff_t i = 0; i < n; i += BLOCK)
        for (ptrdiff_t j = 0; j < m; j++) {
            int n_rows = n - i < BLOCK ? (int)(n - i) : BLOCK;
            const REAL *raw = parameters + j * line + i;
            REAL *to_raw = grad_parameters + j * grad_line + i, *to_shift = to_raw + m * grad_line;
            const REAL *in = x + j * x_column + i * x_row;
            const REAL *from_z = grad_z + j * gz_column + i * gz_row;
            const REAL *from_log = grad_log + j * gl_column + i * gl_row;
            REAL *to_x = grad_x + j * gx_column + i * gx_row;
            REAL value[BLOCK], of_z[BLOCK], of_log[BLOCK];
            for (int r = 0; r < n_rows; r++) {
                value[r] = in[r * x_row];
                of_z[r] = from_z[r * gz_row];
                of_log[r] = from_log[r * gl_row];
            }
            for (int r = 0; r < n_rows; r++) {
                REAL bent = NAMED(vtanh)(raw[r] * (REAL)(1 / MAX_LOG_SCALE));
                REAL scaled = of_z[r] * NAMED(vexp)((REAL)MAX_LOG_SCALE * bent);
                to_raw[r] = (scaled * value[r] + of_log[r]) * (1 - bent * bent);
                to_shift[r] = of_z[r];
                value[r] = scaled;
            }
            for (int r = 0; r < n_rows; r++) to_x[r * gx_row] = value[r];
        }
}
