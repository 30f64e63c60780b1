/* The numbers of double precision. Polynomials: Taylor's for exp, and log by fdlibm's e_log. */
#define REAL double
#define INTEGER int64_t
#define UNSIGNED uint64_t
#define NAMED(name) name##_float64
#define MANTISSA_BITS 52
#define EXPONENT_BIAS 1023
#define ROUND_TO_INTEGER 6755399441055744.0 /* 1.5 * 2^52 */
#define ROUND_TO_INTEGER_BITS 0x4338000000000000LL
#define SQRT_HALF_BITS 0x3fe6a09e667f3bcdLL
#define EXP_LOW -708.0
#define EXP_HIGH 709.0
#define SQUARE_ROOT sqrt
#define LN2_HIGH 6.93147180369123816490e-01
#define LN2_LOW 1.90821492927058770002e-10
#define EXP_SERIES(r) \
    (1 + (r) * (1 + (r) * (1. / 2 + (r) * (1. / 6 + (r) * (1. / 24 + (r) * (1. / 120 \
    + (r) * (1. / 720 + (r) * (1. / 5040 + (r) * (1. / 40320 + (r) * (1. / 362880 \
    + (r) * (1. / 3628800 + (r) * (1. / 39916800 + (r) * (1. / 479001600)))))))))))))
#define LOG_SERIES(w) \
    ((w) * (6.666666666666735130e-01 + (w) * (3.999999999940941908e-01 \
    + (w) * (2.857142874366239149e-01 + (w) * (2.222219843214978396e-01 \
    + (w) * (1.818357216161805012e-01 + (w) * (1.531383769920937332e-01 \
    + (w) * 1.479819860511658591e-01)))))))
