"""Rows that stay in their files, Parquet or a memory map, and are answered a block at a time."""

from collections.abc import Callable, Sequence

import numpy as np

from skflow.data.parquet import ParquetRows, is_parquet

BLOCK_BYTES = 2**24  # of a block's rows as float64: some copies of it are all that is in memory


class MappedRows:
    """Rows of a memory map.

    Parameters
    ----------
    X : memmap of shape (n, d)
    """

    def __init__(self, X: np.memmap):
        self._X = X

    def __len__(self) -> int:
        return len(self._X)

    def blocks(self, n_rows: int):
        """Arrays of ``n_rows`` rows, the last one of what is left."""
        for start in range(0, max(len(self), 1), n_rows):
            yield np.asarray(self._X[start : start + n_rows])


def is_stored(X) -> bool:
    """Whether ``X`` is read a block at a time."""
    return is_parquet(X) or (isinstance(X, np.memmap) and X.ndim == 2)


def by_blocks(
    answer: Callable[..., np.ndarray], X, columns: Sequence[str] | int, chunk_rows: int
) -> np.ndarray:
    """One number per row, of rows that `is_stored`.

    Parameters
    ----------
    answer : callable
        From some rows, a frame or an array in memory, to their numbers.
    X : path, Dataset or memmap
    columns : sequence of str, or int
        Names to find the columns by, or how many there are in an order that is known.
    chunk_rows : int
        A block is a multiple of so many rows, whatever is done with these at a time.
    """
    d = columns if isinstance(columns, int) else len(columns)
    n_chunks = max(1, BLOCK_BYTES // (8 * d * chunk_rows))
    rows = ParquetRows(X, columns) if is_parquet(X) else MappedRows(X)
    found, end = np.empty(len(rows)), 0
    for block in rows.blocks(n_chunks * chunk_rows):
        start, end = end, end + len(block)
        found[start:end] = answer(block)
    return found
