"""Rows in Parquet: a file, a folder of files, or any dataset of pyarrow."""

import os
import sys
from collections.abc import Iterator, Sequence

from skflow.data.selection import in_words

# Of a file no more is read ahead than it takes; a group of its rows is what pyarrow then holds.
ONE_AFTER_THE_OTHER = {"use_threads": False, "batch_readahead": 0, "fragment_readahead": 0}


def is_parquet(X) -> bool:
    """Whether ``X`` is a path, or a dataset of pyarrow."""
    dataset = sys.modules.get("pyarrow.dataset")
    return isinstance(X, str | os.PathLike) or (
        dataset is not None and isinstance(X, dataset.Dataset)
    )


class ParquetRows:
    """Rows of some columns, read a block at a time.

    Parameters
    ----------
    X : path or pyarrow.dataset.Dataset
        A path is that of a file or of a folder, whose folders may be named ``column=value``.
    columns : sequence of str, or int
        Names of the columns, which blocks have in this order; or how many there must be.

    Raises
    ------
    ImportError
        Without pyarrow.
    ValueError
        If columns are missing, in one of the files of a folder too, or of types that do not go
        together; or if they are not as many as they must be.
    """

    def __init__(self, X, columns: Sequence[str] | int):
        self._named = not isinstance(columns, int)
        self._dataset = _opened(X, columns) if isinstance(X, str | os.PathLike) else X
        self._columns = _columns(self._dataset.schema, columns, "X")

    def __len__(self) -> int:
        return self._dataset.count_rows()

    def blocks(self, n_rows: int) -> Iterator:
        """Frames, or arrays where columns are known by their order; one at least."""
        import pyarrow as pa
        import pyarrow.dataset as ds

        options = dict(ONE_AFTER_THE_OTHER)
        if isinstance(getattr(self._dataset, "format", None), ds.ParquetFileFormat):
            options["fragment_scan_options"] = ds.ParquetFragmentScanOptions(
                use_buffered_stream=True, pre_buffer=False
            )
        scanner = self._dataset.scanner(columns=self._columns, batch_size=n_rows, **options)
        for batches in _regrouped(scanner.to_batches(), n_rows):
            table = pa.Table.from_batches(batches, scanner.projected_schema)
            # What pandas noted in one file need not hold for the others, nor for these columns.
            frame = table.to_pandas(ignore_metadata=True, split_blocks=True)
            yield frame if self._named else frame.to_numpy()


def _opened(path, columns):
    """The dataset of a path, with types that all of its files go into."""
    try:
        import pyarrow as pa
        import pyarrow.dataset as ds
    except ImportError as error:
        raise ImportError(
            'Parquet needs pyarrow: pip install "scikit-flow[parquet]", or pyarrow alone.'
        ) from error

    def opened(schema=None):
        return ds.dataset(os.fspath(path), schema, format="parquet", partitioning="hive")

    first = opened()
    names, schemas = _columns(first.schema, columns, "X"), [first.schema]
    for file in first.get_fragments():
        in_path = ds.get_partition_keys(file.partition_expression)
        _columns(file.physical_schema, [n for n in names if n not in in_path], file.path)
        schemas.append(file.physical_schema)
    # Whole numbers in one file and floats in another, where a cell was missing, are floats.
    wanted = [pa.schema([s.field(n) for n in names if n in s.names]) for s in schemas]
    try:
        return opened(pa.unify_schemas(wanted, promote_options="permissive"))
    except pa.ArrowTypeError as error:
        raise ValueError(f"the files of X do not go together: {error}") from error


def _columns(schema, columns, what: str) -> list[str]:
    """The names of the columns, if ``schema`` has them."""
    names = _names(columns, schema)
    missing = [name for name in names if name not in schema.names]
    if missing:
        raise ValueError(
            f"{what} has no columns {in_words(missing)}, which were there in fit; it has "
            f"{in_words(schema.names) or 'none'}."
        )
    if isinstance(columns, int) and len(names) != columns:
        raise ValueError(
            f"{what} has {len(names)} columns ({in_words(names)}), but {columns} were fitted, "
            "without names to find them by: fit a DataFrame, or give a file of these columns."
        )
    return names


def _names(columns, schema) -> list[str]:
    """Names as given; where there are none, all but what pandas keeps its index in."""
    if not isinstance(columns, int):
        return list(columns)
    index = (schema.pandas_metadata or {}).get("index_columns", ())
    return [name for name in schema.names if name not in index]


def _regrouped(batches, n_rows: int) -> Iterator[list]:
    """The same rows, so many at a time; the last of what is left, nothing if there are none."""
    held: list = []
    n_held, n_given = 0, 0
    for batch in batches:
        while len(batch):
            part = batch.slice(0, n_rows - n_held)
            batch = batch.slice(len(part))
            held.append(part)
            n_held += len(part)
            if n_held == n_rows:
                yield held
                held, n_held, n_given = [], 0, n_given + 1
    if held or not n_given:
        yield held
