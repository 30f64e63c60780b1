/* The kernels, once for every precision, and for the instruction sets of common processors. */
#ifndef SKFLOW_KERNELS_H
#define SKFLOW_KERNELS_H

#include <math.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#define BLOCK 64 /* rows at a time: some vectors, and little enough for the first cache */

#define LOG_SQRT_2PI 0.91893853320467274178
#define LEAST_ROWS 2.220446049250313e-15 /* of a component: ten times the rounding of 1 */
#define NO_SHARE 1e-12 /* of a block of rows in a component: its moments are not summed */
#define MAX_LOG_SCALE 5.0 /* as in families.py */

#ifndef ROWS
#define ROWS 128 /* at a time under a mixture: sums over them cost less the more they are */
#endif

/* As in rational_quadratic.py. */
#define MIN_BIN 1e-3
#define MIN_SLOPE 1e-3
#define SLOPE_OFFSET 0.539742417236952 /* softplus of it is 1 - MIN_SLOPE */

#if defined(__GNUC__)
#define INLINE static inline __attribute__((always_inline))
#else
#define INLINE static inline
#endif

/* Before a loop whose turns do not depend on each other, whatever the compiler can see. */
#define ROW_BY_ROW _Pragma("omp simd")

/* Compiled several times; the loader takes the version for the processor that it runs on. */
#if defined(__x86_64__) && defined(__linux__) && defined(__GLIBC__) && __GNUC__ >= 12 \
    && !defined(__clang__)
#define VERSIONED \
    static __attribute__((target_clones("arch=x86-64-v4", "arch=x86-64-v3", "default")))
#else
#define VERSIONED static
#endif

#define PARTS 16 /* of a sum */

#define A(T, address) ((T *)(intptr_t)(address))

#include "stack.h"
#include "workers.h"

#include "float32.h"

#include "elementary.h"
#include "affine.h"
#include "columns.h"
#include "mixture.h"
#include "climb.h"
#include "spline.h"
#include "couplings.h"
#include "undefine.h"

#include "float64.h"

#include "elementary.h"
#include "affine.h"
#include "columns.h"
#include "mixture.h"
#include "climb.h"
#include "spline.h"
#include "couplings.h"
#include "undefine.h"

#endif
