/* What a coupling's perceptron sees of rows, as columns, and its gradient back to the rows. */

/* Copy the first `m` numbers of every row to `kept`, if any, and clamped to `columns` (m, n). */
VERSIONED void NAMED(rows_to_columns)(
    const REAL *rows, ptrdiff_t row, REAL *kept, ptrdiff_t kept_row, REAL *columns,
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
                columns[j * n + r] = v > reach ? reach : v;
            }
    }
}

/* The gradient of the rows: what reached them past the perceptron, if any, and through it. */
VERSIONED void NAMED(columns_to_rows)(
    const REAL *columns, const REAL *rows, ptrdiff_t row, const REAL *past, ptrdiff_t past_row,
    ptrdiff_t past_column, REAL *out, ptrdiff_t out_row, ptrdiff_t m, ptrdiff_t n, double reach_
) {
    const REAL reach = (REAL)reach_;
    for (ptrdiff_t i = 0; i < n; i += BLOCK) {
        ptrdiff_t end = n - i < BLOCK ? n : i + BLOCK;
        for (ptrdiff_t j = 0; j < m; j++)
            for (ptrdiff_t r = i; r < end; r++) {
                REAL v = rows[r * row + j];
                REAL through = (v >= -reach) & (v <= reach) ? columns[j * n + r] : 0;
                REAL before = past == NULL ? 0 : past[r * past_row + j * past_column];
                out[r * out_row + j] = before + through;
            }
    }
}
