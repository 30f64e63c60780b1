/* Makes room for the next precision. */
#undef REAL
#undef INTEGER
#undef UNSIGNED
#undef NAMED
#undef MANTISSA_BITS
#undef EXPONENT_BIAS
#undef ROUND_TO_INTEGER
#undef ROUND_TO_INTEGER_BITS
#undef SQRT_HALF_BITS
#undef EXP_LOW
#undef EXP_HIGH
#undef SQUARE_ROOT
#undef LN2_HIGH
#undef LN2_LOW
#undef EXP_SERIES
#undef LOG_SERIES
