"""An archive's table of contents, as ``pg_restore --list`` prints it."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable
from dataclasses import dataclass
from pathlib import Path

from tekup_migrate.backup.child import clean_environment, read_output
from tekup_migrate.backup.manifest import TableContent
from tekup_migrate.backup.programs import DumpPrograms
from tekup_migrate.errors import CommandFailedError

_LINE = re.compile(r"(?P<id>\d+); \d+ \d+ (?P<rest>.+)\Z")
_LIMIT_SECONDS = 60.0
_LONG_KINDS = (
    "MATERIALIZED VIEW DATA",
    "MATERIALIZED VIEW",
    "SEQUENCE OWNED BY",
    "SEQUENCE SET",
    "TABLE DATA",
    "TABLE ATTACH",
    "INDEX ATTACH",
    "FK CONSTRAINT",
    "CHECK CONSTRAINT",
    "ROW SECURITY",
    "EVENT TRIGGER",
    "DEFAULT ACL",
    "FOREIGN TABLE",
    "OPERATOR CLASS",
    "OPERATOR FAMILY",
    "PUBLICATION TABLE",
    "STATISTICS DATA",
    "SECURITY LABEL",
)
"""Kinds of more than one word (pg_dump.c), those first that begin like a shorter one."""


@dataclass(frozen=True)
class ArchiveEntry:
    """One entry: its number in the archive, and the rest of its line (kind, schema, name, owner)."""

    id: int
    line: str
    rest: str

    @property
    def kind(self) -> str:
        """What it makes: ``TABLE``, ``TABLE DATA``, ``FK CONSTRAINT`` …."""
        return next((kind for kind in _LONG_KINDS if self.rest.startswith(f"{kind} ")), self.rest.split(" ")[0])

    def creates_schema(self, names: Collection[str]) -> bool:
        """Whether it creates one of these schemas."""
        return any(self.rest.startswith(f"SCHEMA - {name} ") for name in names)


async def entries_of(archive: Path, programs: DumpPrograms) -> tuple[ArchiveEntry, ...]:
    """Return an archive's entries in its own order.

    Raises:
        CommandFailedError: pg_restore does not take it for an archive, or it is of a newer version.
    """
    argv: list[str | Path] = [programs.restore, "--list", archive]
    finished = await read_output(argv, environment=clean_environment({}), limit=_LIMIT_SECONDS)
    if finished.code != 0:
        raise CommandFailedError(
            f"{archive} is no archive that pg_restore {programs.version} can read",
            happened=finished.said.strip().splitlines()[0] if finished.said.strip() else "pg_restore failed.",
            unchanged="Nothing was restored.",
            remedy="Use another backup, or install the client programs of the Postgres version that wrote it.",
            details=finished.said,
        )
    matches = (_LINE.match(line) for line in finished.said.splitlines())
    return tuple(ArchiveEntry(int(match["id"]), match.string, match["rest"]) for match in matches if match)


def by_table(
    kind: str, entries: Iterable[ArchiveEntry], tables: Collection[TableContent]
) -> dict[TableContent, list[ArchiveEntry]]:
    """Return the entries of a kind by the table that they belong to; those of no table are left out.

    The list names schema, table and what follows without quotes, so that of several tables that an entry could
    belong to (``a`` and ``a b``) it is the one with the longest name.
    """
    prefixes = sorted(((f"{kind} {listed(table)} ", table) for table in tables), key=lambda each: -len(each[0]))
    found: dict[TableContent, list[ArchiveEntry]] = {}
    for entry in entries:
        table = next((table for prefix, table in prefixes if entry.rest.startswith(prefix)), None)
        if entry.kind == kind and table is not None:
            found.setdefault(table, []).append(entry)
    return found


def listed(table: TableContent) -> str:
    """Return a table's name as ``pg_restore --list`` prints it: without quotes, on one line."""
    return f"{table.schema} {table.name}".replace("\r", " ").replace("\n", " ")


def write_list(file: Path, entries: Iterable[ArchiveEntry]) -> None:
    """Write entries to a file for ``pg_restore --use-list``."""
    file.write_text("".join(f"{entry.line}\n" for entry in entries), encoding="utf-8", newline="\n")
