"""The one place where identifiers and literals are quoted for SQL."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

LONGEST_NAME_BYTES = 63
"""Postgres cuts longer names off without an error (``NAMEDATALEN`` - 1)."""


def cut_name(name: str, ending: str = "", *, most: int = LONGEST_NAME_BYTES) -> str:
    """Return ``name`` and ``ending``, the name cut at a character's edge so that both fit, counted in bytes.

    Args:
        name: what may be cut.
        ending: what is kept whole behind it.
        most: bytes of the result.
    """
    room = max(0, most - len(ending.encode()))
    return name.encode()[:room].decode(errors="ignore") + ending


def quote_ident(name: str) -> str:
    """Return ``name`` as a quoted identifier; always quoted, so that no list of keywords is needed.

    Raises:
        ValueError: the name is empty or holds a zero byte, which no identifier can.
    """
    if not name or "\0" in name:
        raise ValueError(f"not an identifier: {name!r}")
    return '"' + name.replace('"', '""') + '"'


def quote_literal(value: str) -> str:
    """Return ``value`` as a string literal that means the same under every ``standard_conforming_strings``.

    Raises:
        ValueError: the value holds a zero byte, which Postgres cannot store.
    """
    if "\0" in value:
        raise ValueError("a text value cannot hold a zero byte")
    escaped = value.replace("'", "''")
    if "\\" not in value:
        return f"'{escaped}'"
    escaped = escaped.replace("\\", "\\\\")
    return f" E'{escaped}'"


def quote_idents(names: Iterable[str]) -> str:
    """Return names as a comma-separated list of quoted identifiers."""
    return ", ".join(quote_ident(name) for name in names)


@dataclass(frozen=True, order=True)
class Relation:
    """A table, view or sequence by its schema and name."""

    schema: str
    name: str

    @property
    def sql(self) -> str:
        """The qualified, quoted name."""
        return f"{quote_ident(self.schema)}.{quote_ident(self.name)}"

    @property
    def label(self) -> str:
        """How it is named to the operator and in a run's notes: without the schema where that is the usual one."""
        return self.name if self.schema == "public" else str(self)

    def __str__(self) -> str:
        return f"{self.schema}.{self.name}"
