/* What couplings do, as a list of numbers says it: see native_coupling.py. */
#ifndef SKFLOW_STACK_H
#define SKFLOW_STACK_H

#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#define TILE 256 /* rows at a time: what a layer makes of them fits the second cache */

typedef struct {
    int64_t weight, bias, n_out, n_in; /* two addresses, of contiguous memory */
} Dense;

typedef struct {
    const int64_t *order; /* of the columns, or NULL */
    ptrdiff_t n_kept, n_bins; /* no bins: an affine map */
    double bound;
    ptrdiff_t n_dense, n_numbers, n_weights;
    const Dense *dense;
} Layer;

typedef struct {
    ptrdiff_t d, n_context, n_layers;
    const int64_t *last_order; /* or NULL */
    double reach; /* perceptrons see numbers clamped to this */
    ptrdiff_t n_numbers, n_most_numbers, n_widest, n_bins, n_weights;
    Layer layers[];
} Stack;

typedef struct {
    ptrdiff_t n, n_shares, share, tile; /* the numbers of rows */
    int is_out_of_memory;
} Shares;

/* Shares are about equal and do not depend on the number of threads: nor do sums over them. */
static Shares shares_of(ptrdiff_t n, ptrdiff_t n_shares) {
    Shares shares = {.n = n};
    shares.share = ((n + n_shares - 1) / n_shares + 15) / 16 * 16;
    shares.n_shares = (n + shares.share - 1) / shares.share;
    ptrdiff_t n_tiles = (shares.share + TILE - 1) / TILE;
    shares.tile = ((shares.share + n_tiles - 1) / n_tiles + 15) / 16 * 16;
    return shares;
}

static ptrdiff_t end_of(const Shares *shares, ptrdiff_t index) {
    ptrdiff_t end = (index + 1) * shares->share;
    return end < shares->n ? end : shares->n;
}

static Stack *read_stack(const int64_t *plan, const double *bounds, double reach) {
    ptrdiff_t n_layers = plan[3];
    Stack *stack = calloc(1, sizeof(Stack) + n_layers * sizeof(Layer));
    if (stack == NULL) return NULL;
    stack->d = plan[0];
    stack->n_context = plan[1];
    stack->last_order = (const int64_t *)(intptr_t)plan[2];
    stack->n_layers = n_layers;
    stack->reach = reach;
    plan += 4;
    for (ptrdiff_t l = 0; l < n_layers; l++) {
        Layer *layer = stack->layers + l;
        layer->order = (const int64_t *)(intptr_t)plan[0];
        layer->n_kept = plan[1];
        layer->n_bins = plan[2];
        layer->bound = bounds[l];
        layer->n_dense = plan[3];
        layer->dense = (const Dense *)(plan + 4);
        plan += 4 + 4 * layer->n_dense;
        layer->n_numbers = layer->dense[0].n_in;
        for (ptrdiff_t i = 0; i < layer->n_dense; i++) {
            const Dense *dense = layer->dense + i;
            layer->n_numbers += dense->n_out;
            layer->n_weights += dense->n_out * (dense->n_in + 1);
            if (dense->n_out > stack->n_widest) stack->n_widest = dense->n_out;
            if (dense->n_in > stack->n_widest) stack->n_widest = dense->n_in;
        }
        stack->n_weights += layer->n_weights;
        stack->n_numbers += stack->d + layer->n_numbers;
        if (layer->n_numbers > stack->n_most_numbers) stack->n_most_numbers = layer->n_numbers;
        if (2 * layer->n_bins > stack->n_bins) stack->n_bins = 2 * layer->n_bins;
    }
    return stack;
}

#endif
