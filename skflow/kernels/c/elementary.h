/* Elementary functions without branches or calls, so that loops over rows become vector code.
 *
 * Accurate to some units in the last place. exp is clamped to the finite range; log is for normal
 * positive numbers, which is what densities and slopes are.
 */

INLINE REAL NAMED(vexp)(REAL x) {
    x = x < EXP_LOW ? EXP_LOW : x;
    x = x > EXP_HIGH ? EXP_HIGH : x;
    REAL shifted = x * (REAL)1.44269504088896340736 + ROUND_TO_INTEGER;
    REAL k = shifted - ROUND_TO_INTEGER; /* x = k log 2 + r */
    REAL r = (x - k * LN2_HIGH) - k * LN2_LOW;
    UNSIGNED bits; /* k stands in the last bits of `shifted`: 2^k by putting it in place */
    memcpy(&bits, &shifted, sizeof bits);
    bits = (bits + EXPONENT_BIAS) << MANTISSA_BITS;
    REAL power;
    memcpy(&power, &bits, sizeof power);
    return EXP_SERIES(r) * power;
}

INLINE REAL NAMED(vlog)(REAL x) {
    INTEGER bits;
    memcpy(&bits, &x, sizeof bits);
    INTEGER exponent = (bits - SQRT_HALF_BITS) >> MANTISSA_BITS;
    bits -= exponent * ((INTEGER)1 << MANTISSA_BITS); /* x = m 2^exponent, m near 1 */
    REAL m;
    memcpy(&m, &bits, sizeof m);
    INTEGER k_bits = ROUND_TO_INTEGER_BITS + exponent;
    REAL k;
    memcpy(&k, &k_bits, sizeof k);
    k -= ROUND_TO_INTEGER;
    REAL f = m - 1, s = f / (2 + f);
    REAL half_square = (REAL)0.5 * f * f;
    return k * LN2_HIGH - ((half_square - (s * (half_square + LOG_SERIES(s * s)) + k * LN2_LOW)) - f)
        + (x - x); /* nan of what is not finite */
}
