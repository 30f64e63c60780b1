/* Couplings one after the other, all that happens to some rows at once: see coupling.py.
 *
 * Rows are taken a tile at a time through all layers, so that what a layer leaves is in the cache
 * when the next one wants it. What a perceptron computes has rows last: a line for each number.
 * A pass that will be gone back through keeps, layer by layer, the rows (n, d) that reached it, what
 * its perceptron saw, hidden values and parameters, lines of n; any other keeps a tile of one layer.
 */

static void (*NAMED(gemm))(
    char *, char *, int *, int *, int *, REAL *, REAL *, int *, REAL *, int *, REAL *, REAL *, int *
);

/* c (m, n) = a (m, k) b (k, n), all with lines of their own, added to c where `keep` is 1. */
INLINE void NAMED(matrix_product)(
    char transpose_a, char transpose_b, ptrdiff_t m, ptrdiff_t n, ptrdiff_t k, const REAL *a,
    ptrdiff_t a_line, const REAL *b, ptrdiff_t b_line, REAL keep, REAL *c, ptrdiff_t c_line
) {
    int m_ = (int)m, n_ = (int)n, k_ = (int)k, lda = (int)a_line, ldb = (int)b_line;
    int ldc = (int)c_line;
    REAL one = 1;
    if (m == 0 || n == 0) return;
    if (lda == 0) lda = 1; /* of a matrix without columns; there is then no product to add */
    if (ldc == 0) ldc = 1;
    /* Fortran's matrices run along columns: to it these are the transposes. */
    NAMED(gemm)(
        &transpose_b, &transpose_a, &n_, &m_, &k_, &one, (REAL *)b, &ldb, (REAL *)a, &lda, &keep, c,
        &ldc
    );
}

VERSIONED void NAMED(add_bias)(
    REAL *values, ptrdiff_t line, const REAL *bias, ptrdiff_t m, ptrdiff_t n, int is_hidden
) {
    for (ptrdiff_t j = 0; j < m; j++) {
        REAL *v = values + j * line, b = bias[j];
        if (is_hidden)
            for (ptrdiff_t r = 0; r < n; r++) {
                REAL sum = v[r] + b;
                v[r] = sum < 0 ? 0 : sum;
            }
        else
            for (ptrdiff_t r = 0; r < n; r++) v[r] += b;
    }
}

/* Back through the ReLUs that gave `values`. */
VERSIONED void NAMED(where_positive)(
    REAL *grad, ptrdiff_t grad_line, const REAL *values, ptrdiff_t line, ptrdiff_t m, ptrdiff_t n
) {
    for (ptrdiff_t j = 0; j < m; j++)
        for (ptrdiff_t r = 0; r < n; r++) {
            REAL g = grad[j * grad_line + r];
            grad[j * grad_line + r] = values[j * line + r] > 0 ? g : 0;
        }
}

VERSIONED void NAMED(add_lines)(
    REAL *sum, const REAL *lines, ptrdiff_t line, ptrdiff_t m, ptrdiff_t n
) {
    for (ptrdiff_t j = 0; j < m; j++)
        for (ptrdiff_t r = 0; r < n; r++) sum[r] += lines[j * line + r];
}

/* Add the sum of every line; in as many parts as make vectors. */
VERSIONED void NAMED(add_sums)(
    REAL *sums, const REAL *lines, ptrdiff_t line, ptrdiff_t m, ptrdiff_t n
) {
    for (ptrdiff_t j = 0; j < m; j++) {
        REAL parts[PARTS] = {0};
        ptrdiff_t r = 0;
        for (; r + PARTS <= n; r += PARTS)
            for (int p = 0; p < PARTS; p++) parts[p] += lines[j * line + r + p];
        for (; r < n; r++) parts[0] += lines[j * line + r];
        for (int p = 0; p < PARTS; p++) sums[j] += parts[p];
    }
}

typedef struct {
    const Stack *stack;
    const REAL *x, *context;
    REAL *kept; /* NULL where nothing is gone back through */
    REAL *z, *total;
    Shares shares;
} NAMED(Forward);

static void NAMED(reorder)(
    const REAL *rows, const int64_t *order, REAL *out, ptrdiff_t d, ptrdiff_t n
) {
    for (ptrdiff_t r = 0; r < n; r++)
        for (ptrdiff_t j = 0; j < d; j++)
            out[r * d + j] = rows[r * d + (order == NULL ? j : order[j])];
}

static void NAMED(forward_tile)(
    NAMED(Forward) * call, ptrdiff_t first, ptrdiff_t n, REAL *scratch
) {
    const Stack *stack = call->stack;
    const ptrdiff_t d = stack->d, n_context = stack->n_context, tile = call->shares.tile;
    const ptrdiff_t line = call->kept != NULL ? call->shares.n : tile;
    REAL *const between = scratch, *const log = between + tile * d, *const bins = log + tile * d;
    REAL *const block = bins + stack->n_bins * BLOCK;
    REAL *const total = call->total + first;
    REAL *of_layer = call->kept;
    const REAL *rows = call->x + first * d;
    memset(total, 0, n * sizeof(REAL));
    for (ptrdiff_t l = 0; l < stack->n_layers; l++) {
        const Layer *layer = stack->layers + l;
        const ptrdiff_t k = layer->n_kept, m = d - k;
        const int is_last = l == stack->n_layers - 1 && stack->last_order == NULL;
        REAL *const out = is_last ? call->z + first * d : between;
        REAL *own_rows = block, *values = block + tile * d;
        if (call->kept != NULL) {
            own_rows = of_layer + first * d;
            values = of_layer + line * d + first;
            of_layer += line * (d + layer->n_numbers);
        }
        NAMED(reorder)(rows, layer->order, own_rows, d, n);
        rows = out;
        NAMED(rows_to_columns)(own_rows, d, out, d, values, line, k, n, stack->reach);
        if (n_context)
            NAMED(rows_to_columns)(
                call->context + first * n_context, n_context, NULL, 0, values + k * line, line,
                n_context, n, stack->reach
            );
        for (const Dense *dense = layer->dense; dense < layer->dense + layer->n_dense; dense++) {
            REAL *next = values + dense->n_in * line;
            NAMED(matrix_product)(
                'N', 'N', dense->n_out, n, dense->n_in, A(REAL, dense->weight), dense->n_in, values,
                line, 0, next, line
            );
            NAMED(add_bias)(
                next, line, A(REAL, dense->bias), dense->n_out, n,
                dense < layer->dense + layer->n_dense - 1
            );
            values = next;
        }
        if (layer->n_bins)
            NAMED(spline_forward)(
                own_rows + k, 1, d, values, line, out + k, 1, d, log, tile, m, n,
                (int)layer->n_bins, layer->bound, bins
            );
        else
            NAMED(affine_forward)(
                own_rows + k, 1, d, values, line, out + k, 1, d, log, tile, m, n
            );
        NAMED(add_lines)(total, log, tile, m, n);
    }
    if (stack->last_order != NULL)
        NAMED(reorder)(rows, stack->last_order, call->z + first * d, d, n);
}

static void NAMED(forward_share)(void *of, ptrdiff_t index) {
    NAMED(Forward) *call = of;
    const Stack *stack = call->stack;
    const ptrdiff_t n_of_block = call->kept != NULL ? 0 : stack->d + stack->n_most_numbers;
    Shares *shares = &call->shares;
    REAL *scratch = malloc(
        (shares->tile * (2 * stack->d + n_of_block) + stack->n_bins * BLOCK) * sizeof(REAL)
    );
    if (scratch == NULL) {
        shares->is_out_of_memory = 1;
        return;
    }
    const ptrdiff_t end = end_of(shares, index);
    for (ptrdiff_t first = index * shares->share; first < end; first += shares->tile) {
        const ptrdiff_t n = end - first < shares->tile ? end - first : shares->tile;
        NAMED(forward_tile)(call, first, n, scratch);
    }
    free(scratch);
}

typedef struct {
    const Stack *stack;
    const REAL *context, *kept;
    const REAL *grad_z;
    ptrdiff_t gz_row, gz_column;
    const REAL *grad_total;
    ptrdiff_t gt_row;
    REAL *grad_x, *grad_context, *grad_weights; /* of weights by share */
    Shares shares;
} NAMED(Backward);

/* Through one layer's perceptron, from the gradient of its parameters to that of what it saw, which
 * is left in one of the two; those of the weights are added to what ends at `to_weights`.
 */
static REAL *NAMED(back_through_perceptron)(
    const Layer *layer, const REAL *values, ptrdiff_t line, REAL *grad, REAL *below,
    ptrdiff_t grad_line, REAL *to_weights, ptrdiff_t n
) {
    for (const Dense *dense = layer->dense + layer->n_dense - 1; dense >= layer->dense; dense--) {
        const ptrdiff_t n_in = dense->n_in, n_out = dense->n_out;
        values -= n_in * line;
        to_weights -= n_out * (n_in + 1);
        NAMED(matrix_product)(
            'N', 'T', n_out, n_in, n, grad, grad_line, values, line, 1, to_weights, n_in
        );
        NAMED(add_sums)(to_weights + n_out * n_in, grad, grad_line, n_out, n);
        NAMED(matrix_product)(
            'T', 'N', n_in, n, n_out, A(REAL, dense->weight), n_in, grad, grad_line, 0, below,
            grad_line
        );
        if (dense > layer->dense)
            NAMED(where_positive)(below, grad_line, values, line, n_in, n);
        REAL *freed = grad;
        grad = below;
        below = freed;
    }
    return grad;
}

static void NAMED(backward_tile)(
    NAMED(Backward) * call, ptrdiff_t first, ptrdiff_t n, REAL *to_weights, REAL *scratch
) {
    const Stack *stack = call->stack;
    const ptrdiff_t d = stack->d, n_context = stack->n_context;
    const ptrdiff_t line = call->shares.n, tile = call->shares.tile;
    REAL *of_rows = scratch, *of_own = of_rows + tile * d, *const bins = of_own + tile * d;
    REAL *const grad = bins + stack->n_bins * BLOCK, *const below = grad + tile * stack->n_widest;
    const REAL *end_of_layer = call->kept + line * stack->n_numbers;
    const REAL *context = call->context + first * n_context;
    REAL *const to_context = call->grad_context + first * n_context;
    for (ptrdiff_t r = 0; r < n; r++) {
        const REAL *grad_z = call->grad_z + (first + r) * call->gz_row;
        for (ptrdiff_t j = 0; j < d; j++) {
            ptrdiff_t to = stack->last_order == NULL ? j : stack->last_order[j];
            of_rows[r * d + to] = grad_z[j * call->gz_column];
        }
    }
    if (n_context) memset(to_context, 0, n * n_context * sizeof(REAL));
    for (const Layer *layer = stack->layers + stack->n_layers - 1; layer >= stack->layers; layer--) {
        const ptrdiff_t k = layer->n_kept, m = d - k;
        const ptrdiff_t n_parameters = layer->dense[layer->n_dense - 1].n_out;
        const REAL *own_rows = end_of_layer - line * (d + layer->n_numbers) + first * d;
        const REAL *parameters = end_of_layer - line * n_parameters + first;
        const REAL *of_log = call->grad_total + first * call->gt_row; /* of every column's */
        end_of_layer -= line * (d + layer->n_numbers);
        if (layer->n_bins)
            NAMED(spline_backward)(
                own_rows + k, 1, d, parameters, line, of_rows + k, 1, d, of_log, 0, call->gt_row,
                of_own + k, 1, d, grad, tile, m, n, (int)layer->n_bins, layer->bound,
                bins
            );
        else
            NAMED(affine_backward)(
                own_rows + k, 1, d, parameters, line, of_rows + k, 1, d, of_log, 0, call->gt_row,
                of_own + k, 1, d, grad, tile, m, n
            );
        const REAL *of_seen = NAMED(back_through_perceptron)(
            layer, parameters, line, grad, below, tile, to_weights, n
        );
        to_weights -= layer->n_weights;
        NAMED(columns_to_rows)(of_seen, tile, own_rows, d, of_rows, d, of_own, d, k, n, stack->reach);
        if (n_context)
            NAMED(columns_to_rows)(
                of_seen + k * tile, tile, context, n_context, to_context, n_context, to_context,
                n_context, n_context, n, stack->reach
            );
        for (ptrdiff_t r = 0; r < n; r++)
            for (ptrdiff_t j = 0; j < d; j++)
                of_rows[r * d + (layer->order == NULL ? j : layer->order[j])] = of_own[r * d + j];
    }
    memcpy(call->grad_x + first * d, of_rows, n * d * sizeof(REAL));
}

static void NAMED(backward_share)(void *of, ptrdiff_t index) {
    NAMED(Backward) *call = of;
    const Stack *stack = call->stack;
    Shares *shares = &call->shares;
    REAL *scratch = malloc(
        (shares->tile * (2 * stack->d + 2 * stack->n_widest) + stack->n_bins * BLOCK)
        * sizeof(REAL)
    );
    if (scratch == NULL) {
        shares->is_out_of_memory = 1;
        return;
    }
    REAL *to_weights = call->grad_weights + index * stack->n_weights;
    memset(to_weights, 0, stack->n_weights * sizeof(REAL));
    const ptrdiff_t end = end_of(shares, index);
    for (ptrdiff_t first = index * shares->share; first < end; first += shares->tile) {
        const ptrdiff_t n = end - first < shares->tile ? end - first : shares->tile;
        NAMED(backward_tile)(call, first, n, to_weights + stack->n_weights, scratch);
    }
    free(scratch);
}

static int NAMED(couplings_forward)(NAMED(Forward) * call, ptrdiff_t n_threads) {
    do_tasks(NAMED(forward_share), call, call->shares.n_shares, n_threads);
    return !call->shares.is_out_of_memory;
}

static int NAMED(couplings_backward)(NAMED(Backward) * call, ptrdiff_t n_threads) {
    const ptrdiff_t n_weights = call->stack->n_weights;
    do_tasks(NAMED(backward_share), call, call->shares.n_shares, n_threads);
    for (ptrdiff_t share = 1; share < call->shares.n_shares; share++)
        NAMED(add_lines)(call->grad_weights, call->grad_weights + share * n_weights, 0, 1, n_weights);
    return !call->shares.is_out_of_memory;
}
