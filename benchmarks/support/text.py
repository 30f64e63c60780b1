"""Text tables for the results."""

from collections.abc import Sequence


def simple_table(header: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """A reStructuredText simple table; nothing is a dash."""
    cells = [list(header), *([cell or "-" for cell in row] for row in rows)]
    widths = [max(map(len, column)) for column in zip(*cells, strict=True)]
    rule = "  ".join("=" * width for width in widths)
    lines = ["  ".join(map(str.ljust, line, widths)).rstrip() for line in cells]
    return "\n".join([rule, lines[0], rule, *lines[1:], rule])


def cell(value: float | str | None, form: str = ".2f") -> str:
    """A number in the form given; "d" a whole one, "yes" a truth, "s" a text."""
    if value is None:
        return ""
    if form == "s" or isinstance(value, str):
        return str(value)
    if form == "yes":
        return "yes" if value else "NO"
    return str(round(value)) if form == "d" else f"{value:{form}}"


def underlined(title: str) -> str:
    return f"{title}\n{'-' * len(title)}"
