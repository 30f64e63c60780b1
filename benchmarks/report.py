"""Text tables for the results."""

from collections.abc import Sequence
from pathlib import Path

import pandas as pd


def simple_table(header: Sequence[str], rows: Sequence[Sequence[object]]) -> str:
    """A reStructuredText simple table; floats with two decimals, None as a dash."""
    cells = [list(header), *([_cell(value) for value in row] for row in rows)]
    widths = [max(map(len, column)) for column in zip(*cells, strict=True)]
    rule = "  ".join("=" * width for width in widths)
    lines = ["  ".join(map(str.ljust, line, widths)).rstrip() for line in cells]
    return "\n".join([rule, lines[0], rule, *lines[1:], rule])


def write_rows(rows: Sequence[dict], out: Path) -> str:
    """Write a CSV and, beside it, the same as a text table, which is given back."""
    out.parent.mkdir(parents=True, exist_ok=True)
    pd.DataFrame(rows).to_csv(out, index=False, float_format="%.5g")
    columns = list(dict.fromkeys(key for row in rows for key in row))
    text = simple_table(columns, [[row.get(column) for column in columns] for row in rows])
    out.with_suffix(".txt").write_text(text + "\n", encoding="utf-8")
    return text


def _cell(value: object) -> str:
    if value is None:
        return "-"
    if isinstance(value, bool):
        return "yes" if value else "NO"
    return f"{value:.2f}" if isinstance(value, float) else str(value)
