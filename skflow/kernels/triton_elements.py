"""Where the elements of a map are, for kernels in Triton.

A program takes some rows of one column. It finds elements by a place: the address of the first,
and the strides of columns and rows. Parameters, (p, m, n), have a stride of their own before these.

The modules ``triton_*`` import Triton; `cuda.py` says when they may be imported.
"""

import triton
import triton.language as tl


@triton.jit
def elements(n_rows, ROWS: tl.constexpr):
    """Column and rows of this program, and which of the rows there are."""
    n_programs = tl.cdiv(n_rows, ROWS)  # for a column
    program = tl.program_id(0)
    column = (program // n_programs).to(tl.int64)
    rows = (program % n_programs).to(tl.int64) * ROWS + tl.arange(0, ROWS)
    return column, rows, rows < n_rows


@triton.jit
def read(place, column, rows, there):
    """The elements at a place."""
    first, per_column, per_row = place
    return tl.load(first + column * per_column + rows * per_row, mask=there, other=0.0)


@triton.jit
def write(place, column, rows, there, values):
    """Put values at a place."""
    first, per_column, per_row = place
    tl.store(first + column * per_column + rows * per_row, values, mask=there)


@triton.jit
def first_parameters(place, column, rows):
    """Addresses of the elements' first parameters, and from each to the next."""
    first, per_parameter, per_column, per_row = place
    # Of 64 bits: there may be more parameters than 32 count.
    return first + column * per_column + rows * per_row, tl.cast(per_parameter, tl.int64)
