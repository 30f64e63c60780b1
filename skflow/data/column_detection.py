"""What a user and the data say about the columns of a table: one plan per column."""

from collections.abc import Sequence

import numpy as np

from skflow.data.column_kinds import numeric_kind
from skflow.data.column_plan import ColumnPlan
from skflow.data.column_schema import ColumnSchema
from skflow.data.column_statements import ColumnStatements, Statements
from skflow.data.selection import in_words
from skflow.data.table_schema import TableSchema
from skflow.data.warn import warn

FEW_CATEGORIES = 20  # so many, or fewer, are no ids
NEARLY_UNIQUE = 0.5  # categories per known cell: with more a column is an id


def plan_columns(
    values: np.ndarray,
    schema: TableSchema,
    statements: ColumnStatements,
    weight: np.ndarray | None = None,
) -> list[ColumnPlan]:
    """Detect the kind of every column of the coded rows ``values`` (n, d), weighted (n,).

    Raises
    ------
    ValueError
        If a column holds nothing, or cannot be what the user said it is.
    """
    groups = statements.exchangeable
    together = [i for group in groups for i in group]
    if len(set(together)) < len(together) or any(len(group) < 2 for group in groups):
        raise ValueError("exchangeable must be disjoint groups of two columns or more.")
    plans = []
    for i, column in enumerate(schema.columns):
        here = ~np.isnan(values[:, i])
        known = values[:, i][here]
        missing = len(known) < len(values)
        if not len(known):
            raise ValueError(f"column {column.name!r} has no value in any row; drop it.")
        said = statements.of(i)
        if column.categories is not None and not (column.ordered or said.ordinal):
            for name in said.on_numbers:
                check_takes_numbers(column, name, ordered=False)
            plans.append(
                ColumnPlan("categorical", n_levels=len(column.categories), missing=missing)
            )
            continue
        counts = None if weight is None else weight[here]
        plans.append(_numeric_plan(known, counts, column, said, missing=missing))
    warn_of_ids(plans, values, schema)
    return plans


def check_takes_numbers(column: ColumnSchema, what: str, *, ordered: bool) -> None:
    """Refuse a categorical column, unless its categories have an order."""
    if column.categories is not None and not (column.ordered or ordered):
        raise ValueError(f"column {column.name!r} is categorical; {what} takes numbers.")


def warn_of_ids(plans: Sequence[ColumnPlan], values: np.ndarray, schema: TableSchema) -> None:
    """Say which categorical columns hold nearly as many categories as rows."""
    found = []
    for column, plan, codes in zip(schema.columns, plans, values.T, strict=True):
        known = codes[~np.isnan(codes)]
        n_seen = len(np.unique(known)) if plan.kind == "categorical" else 0
        if n_seen > max(FEW_CATEGORIES, NEARLY_UNIQUE * len(known)):
            found.append(column.name)
    if found:
        warn(
            f"columns {in_words(found)} have nearly as many categories as rows, as names and "
            "numbers of rows do: nothing can be learned from them. Drop them.",
            UserWarning,
        )


def _numeric_plan(
    known: np.ndarray,
    weight: np.ndarray | None,
    column: ColumnSchema,
    said: Statements,
    *,
    missing: bool,
) -> ColumnPlan:
    name, bounds, period = column.name, said.bounds, said.period
    ordered = column.categories is not None or said.ordinal
    if said.symmetric:
        if bounds is not None or said.exchangeable or period or ordered:
            raise ValueError(f"column {name!r} is symmetric: it can be nothing else.")
        known, bounds = np.abs(known), (0.0, np.inf)
    if column.categories is not None:  # ordered categories: all are levels, seen or not
        levels = tuple(float(code) for code in range(len(column.categories)))
        return ColumnPlan("levels", levels=levels, missing=missing)
    found = numeric_kind(known, weight, ordinal=ordered)
    points = found.kind == "continuous" and not found.atoms
    if said.exchangeable and (missing or bounds is not None or period or not points):
        raise ValueError(
            f"column {name!r} is exchangeable: it must be complete, without bounds, and "
            "continuous; add noise of the width of its steps where values repeat."
        )
    if period:
        if bounds is not None or ordered:
            raise ValueError(f"column {name!r} is periodic: it can be nothing else.")
        if not period > 0:
            raise ValueError(f"the period of column {name!r} must be positive, got {period}.")
        ratio = period / found.step if found.step else 0.0
        lattice = bool(found.step) and abs(ratio - round(ratio)) < 1e-6
        return ColumnPlan(
            "lattice" if lattice else "continuous",
            step=found.step if lattice else 0.0,
            origin=found.origin,
            missing=missing,
            period=float(period),
            per_unit=found.per_unit if lattice else 0,
        )
    return ColumnPlan(
        found.kind,
        step=found.step,
        origin=found.origin,
        levels=found.levels,
        atoms=found.atoms,
        missing=missing,
        symmetric=said.symmetric,
        per_unit=found.per_unit,
        tolerance=found.tolerance,
        bounds=(-np.inf, np.inf) if bounds is None else bounds,
    )


def describe(plan: ColumnPlan, *, exchangeable: bool) -> str:
    """In words: the kind of a column, for `column_kinds_`."""
    words = {"levels": "ordinal", "lattice": "integer" if plan.step == 1 else "grid"}
    kind = words.get(plan.kind, plan.kind)
    if plan.period:
        kind = "periodic"
    extra = [
        word
        for word, said in (
            ("symmetric", plan.symmetric),
            ("exchangeable", exchangeable),
            ("bounded", not plan.symmetric and np.isfinite(plan.bounds).any()),
            ("atoms", bool(plan.atoms)),
            ("missing", plan.missing),
        )
        if said
    ]
    return " ".join([kind, *(f"+{word}" for word in extra)])
