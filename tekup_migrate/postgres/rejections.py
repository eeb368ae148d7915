"""What the servers' errors during a copy mean: which table, key range and column, and what to do."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import TYPE_CHECKING

from tekup_migrate.errors import MigrationError
from tekup_migrate.postgres.copying import SourceReadError
from tekup_migrate.postgres.keys import KeyRange
from tekup_migrate.postgres.quoting import Relation

if TYPE_CHECKING:
    import asyncpg

_COPY_COLUMN = re.compile(r"COPY [^,]+(?:, line \d+)?, column ([^:\s]+)")
UNIQUE_VIOLATION = "23505"
FOREIGN_KEY_VIOLATION = "23503"
EXCLUSION_VIOLATION = "23P01"
RETRIED = ("40001", "40P01")
"""Serialization failure and deadlock: someone else wrote the same rows; the chunk is simply done again."""


class CopyRefusedError(MigrationError):
    """A server refused or broke off a chunk; the chunk was rolled back, finished chunks are kept."""


@dataclass(frozen=True)
class _Cause:
    title: str
    remedy: str


_BY_STATE = {
    "23505": _Cause("A unique key is taken", "Decide which of the two rows stays, then start this step again."),
    "23503": _Cause("A foreign key has no parent", "Copy the parent table first, then start this step again."),
    "23514": _Cause(
        "A check constraint rejects a row", "Change the row or the constraint, then start this step again."
    ),
    "23502": _Cause("A column may not be NULL", "Change the row or the column, then start this step again."),
    "42501": _Cause("Permission denied", "Grant the right to our role, then start this step again."),
    "53100": _Cause("The disk is full", "Free or add disk space there, then start this step again."),
    "57014": _Cause(
        "The server cancelled a statement", "Find what cancels statements there, then start this step again."
    ),
    "25006": _Cause(
        "The database is read-only", "Connect to the primary, or free disk space; then start this step again."
    ),
    "40001": _Cause("Rows changed under our hands", "Stop what writes to the table, then start this step again."),
}
_BY_CLASS = {
    "22": _Cause("A value does not fit", "Change the value or the column, then start this step again."),
    "23": _Cause("A constraint rejects a row", "Change the row or the constraint, then start this step again."),
    "42": _Cause("The target's table does not fit", "Compare the two tables' definitions, then start this step again."),
    "53": _Cause("The server is short of resources", "Wait or enlarge it, then start this step again."),
    "08": _Cause("The connection was cut", "Check the network, then start this step again: finished chunks are kept."),
    "57": _Cause("The server is shutting down", "Wait until it is back, then start this step again."),
}
_OTHER = _Cause("The copy failed", "Mend the cause, then start this step again: finished chunks are kept.")


def refusals() -> tuple[
    type[asyncpg.PostgresError],
    type[asyncpg.InterfaceError],
    type[asyncpg.InternalClientError],
    type[SourceReadError],
    type[OSError],
]:
    """Return what is raised where a server refuses part of a copy, or goes away; what ``explain`` takes."""
    import asyncpg

    return (asyncpg.PostgresError, asyncpg.InterfaceError, asyncpg.InternalClientError, SourceReadError, OSError)


def sqlstate(error: BaseException) -> str:
    """Return the SQLSTATE of a driver's error or of its cause, or empty."""
    if isinstance(error, SourceReadError) and error.__cause__ is not None:
        error = error.__cause__
    state = getattr(error, "sqlstate", None)
    return state if isinstance(state, str) else ""


def explain(
    error: asyncpg.PostgresError | asyncpg.InterfaceError | asyncpg.InternalClientError | OSError | SourceReadError,
    relation: Relation,
    part: KeyRange,
    *,
    where: str = "the target",
    rules: Mapping[str, tuple[str, ...]] = MappingProxyType({}),
) -> CopyRefusedError:
    """Say what a server's error means for the operator.

    Args:
        error: what the driver raised.
        relation: the target's table.
        part: the key range that was worked on.
        where: names the server.
        rules: the columns that each of the table's constraints is about; a server names the constraint alone.
    """
    where = "the source" if isinstance(error, SourceReadError) else where
    cause = error.__cause__ if isinstance(error, SourceReadError) and error.__cause__ is not None else error
    state = sqlstate(cause)
    found = _BY_STATE.get(state) or _BY_CLASS.get(state[:2]) or (_OTHER if state else _BY_CLASS["08"])
    constraint = getattr(cause, "constraint_name", None)
    columns = [column] if (column := _column(cause)) else rules.get(str(constraint), ())
    named = f", {'column' if len(columns) == 1 else 'columns'} {', '.join(columns)}" if columns else ""
    broken = f", constraint {constraint}" if constraint else ""
    details = [f"SQLSTATE {state}" if state else type(cause).__name__]
    details += [str(more) for name in ("detail", "hint", "context") if (more := getattr(cause, name, None))]
    return CopyRefusedError(
        f"{found.title}: {relation}",
        happened=f"In {relation}{named}{broken}, key range {part}, {where} said: {str(cause) or 'nothing'}",
        unchanged="This chunk was rolled back. Chunks and tables finished before it are kept and proved.",
        remedy=found.remedy,
        details="\n".join(details),
    )


def _column(error: BaseException) -> str:
    column = getattr(error, "column_name", None)
    if isinstance(column, str):
        return column
    found = _COPY_COLUMN.search(str(getattr(error, "context", "") or ""))
    return found[1].strip('"') if found else ""
