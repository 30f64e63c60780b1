/* The numbers of single precision. Polynomials: Cephes' expf, and log by fdlibm's e_logf. */
#define REAL float
#define INTEGER int32_t
#define UNSIGNED uint32_t
#define NAMED(name) name##_float32
#define MANTISSA_BITS 23
#define EXPONENT_BIAS 127
#define ROUND_TO_INTEGER 12582912.0f /* 1.5 * 2^23: what is added to it loses its fraction */
#define ROUND_TO_INTEGER_BITS 0x4b400000
#define SQRT_HALF_BITS 0x3f3504f3
#define EXP_LOW -87.0f
#define EXP_HIGH 88.0f
#define SQUARE_ROOT sqrtf
#define LN2_HIGH 0.693359375f
#define LN2_LOW -2.12194440e-4f
#define EXP_SERIES(r) \
    (1.0f + (r) + (r) * (r) * (5.0000001201e-1f + (r) * (1.6666665459e-1f + (r) * (4.1665795894e-2f \
    + (r) * (8.3334519073e-3f + (r) * (1.3981999507e-3f + (r) * 1.9875691500e-4f))))))
#define LOG_SERIES(w) \
    ((w) * (0.66666662693f + (w) * (0.40000972152f + (w) * (0.28498786688f + (w) * 0.24279078841f))))
