"""Key ranges and key lists, written as SQL that means the same rows on both sides."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from tekup_migrate.postgres.quoting import quote_literal
from tekup_migrate.postgres.table import Column

Key = tuple[str, ...]
"""A row's key, each column as text under our pinned settings."""


@dataclass(frozen=True)
class KeyRange:
    """The rows whose key is after ``low`` and not after ``high``; None is unbounded."""

    low: Key | None = None
    high: Key | None = None

    def where(self, key: Sequence[Column]) -> tuple[str, list[object]]:
        """Return a condition with parameters from ``$1`` on, and their values."""
        bounds = [*(self.low or ()), *(self.high or ())]
        return self._condition(key, [f"${n}" for n in range(1, len(bounds) + 1)]), list(bounds)

    def where_literal(self, key: Sequence[Column]) -> str:
        """Return the condition with literals, for COPY, which takes no parameters."""
        return self._condition(key, [quote_literal(value) for value in (*(self.low or ()), *(self.high or ()))])

    def _condition(self, key: Sequence[Column], values: Sequence[str]) -> str:
        ordered = ", ".join(column.order_sql for column in key)
        conditions = []
        rest = list(values)
        for bound, operator in ((self.low, ">"), (self.high, "<=")):
            if bound is not None:
                mine, rest = rest[: len(key)], rest[len(key) :]
                cast = ", ".join(column.literal_cast(value) for column, value in zip(key, mine, strict=True))
                conditions.append(f"({ordered}) {operator} ({cast})")
        return " AND ".join(conditions) or "true"

    def __str__(self) -> str:
        if self.low is None and self.high is None:
            return "all rows"
        low = f"after {', '.join(self.low)}" if self.low is not None else "from the first"
        high = f"up to {', '.join(self.high)}" if self.high is not None else "to the last"
        return f"{low} {high}"


@dataclass(frozen=True)
class KeyList(KeyRange):
    """The rows with these keys; ``low`` and ``high`` are the first and the last of them."""

    keys: tuple[Key, ...] = ()

    def where(self, key: Sequence[Column]) -> tuple[str, list[object]]:
        """Return a condition with parameters from ``$1`` on, and their values."""
        where, values = among(key, self.keys)
        return where, list(values)

    def where_literal(self, key: Sequence[Column]) -> str:
        """Return the condition with literals, for COPY, which takes no parameters."""
        return among_literal(key, self.keys)

    def __str__(self) -> str:
        return f"{', '.join(self.low or ())} to {', '.join(self.high or ())}"


def among(key: Sequence[Column], keys: Iterable[Key]) -> tuple[str, list[list[str]]]:
    """Return a condition for a list of keys with parameters from ``$1`` on, and their values."""
    values = [list(column) for column in zip(*keys, strict=True)]
    return _among(key, [f"${n}::text[]" for n in range(1, len(key) + 1)]), values


def among_literal(key: Sequence[Column], keys: Iterable[Key]) -> str:
    """Return the condition for a list of keys with literals, for COPY, which takes no parameters."""
    columns = zip(*keys, strict=True)
    arrays = [f"ARRAY[{', '.join(quote_literal(value) for value in column)}]::text[]" for column in columns]
    return _among(key, arrays)


def _among(key: Sequence[Column], arrays: Sequence[str]) -> str:
    names = ", ".join(f"k{n}" for n in range(len(key)))
    rows = ", ".join(f"pg_catalog.unnest({array})" for array in arrays)
    # IN takes "=" from our empty search_path; where an extension brings it, keys are compared by their text, as here.
    own = [column.type.equals == "=" for column in key]
    cast = ", ".join(f"wanted.k{n}::{column.type.sql if own[n] else 'text'}" for n, column in enumerate(key))
    columns = ", ".join(column.sql if own[n] else f"{column.sql}::text" for n, column in enumerate(key))
    return f"({columns}) IN (SELECT {cast} FROM ROWS FROM ({rows}) AS wanted({names}))"
