/* What a coupling's perceptron sees of rows, as columns, and its gradient back to the rows. */

/* Copy the first `m` numbers of every row to `kept`, if any, and clamped to `columns`, a line each. */
VERSIONED void NAMED(rows_to_columns)(
    const REAL *rows, ptrdiff_t row, REAL *kept, ptrdiff_t kept_row, REAL *columns, ptrdiff_t line,
    ptrdiff_t m, ptrdiff_t n, double reach_
) {
    const REAL reach = (REAL)reach_;
    for (ptrdiff_t i = 0; i < n; i += BLOCK) {
        ptrdiff_t end = n - i < BLOCK ? n : i + BLOCK;
        for (ptrdiff_t j = 0; j < m; j++)
            for (ptrdiff_t r = i; r < end; r++) {
                REAL v = rows[r * row + j];
                if (kept != NULL) kept[r * kept_row + j] = v;
                v = v < -reach ? -reach : v;
                columns[j * line + r] = v > reach ? reach : v;
            }
    }
}

/* The gradient of the rows: what reached them past the perceptron, and through it. */
VERSIONED void NAMED(columns_to_rows)(
    const REAL *columns, ptrdiff_t line, const REAL *rows, ptrdiff_t row, const REAL *past,
    ptrdiff_t past_row, REAL *out, ptrdiff_t out_row, ptrdiff_t m, ptrdiff_t n, double reach_
) {
    const REAL reach = (REAL)reach_;
    for (ptrdiff_t i = 0; i < n; i += BLOCK) {
        ptrdiff_t end = n - i < BLOCK ? n : i + BLOCK;
        for (ptrdiff_t j = 0; j < m; j++)
            for (ptrdiff_t r = i; r < end; r++) {
                REAL v = rows[r * row + j];
                REAL through = (v >= -reach) & (v <= reach) ? columns[j * line + r] : 0;
                out[r * out_row + j] = past[r * past_row + j] + through;
            }
    }
}
