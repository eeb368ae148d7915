"""An archive's table of contents, as ``pg_restore --list`` prints it."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from tekup_migrate.backup.child import clean_environment, read_output
from tekup_migrate.backup.programs import DumpPrograms
from tekup_migrate.errors import CommandFailedError

_LINE = re.compile(r"(?P<id>\d+); \d+ \d+ (?P<rest>.+)\Z")
_LIMIT_SECONDS = 60.0


@dataclass(frozen=True)
class ArchiveEntry:
    """One entry: its number in the archive, and the rest of its line (kind, schema, name, owner)."""

    id: int
    line: str
    rest: str

    @property
    def creates_public(self) -> bool:
        """Whether it creates the schema ``public``, which every database has."""
        return self.rest.startswith("SCHEMA - public ")


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


def write_list(file: Path, entries: Iterable[ArchiveEntry]) -> None:
    """Write entries to a file for ``pg_restore --use-list``."""
    file.write_text("".join(f"{entry.line}\n" for entry in entries), encoding="utf-8", newline="\n")
