"""Running pg_restore so that every object it could not restore is named."""

from __future__ import annotations

import re
import tempfile
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from tekup_migrate.backup.access import Access
from tekup_migrate.backup.child import run_program
from tekup_migrate.backup.plain import SETTINGS_SINCE
from tekup_migrate.backup.programs import DumpPrograms
from tekup_migrate.backup.toc import ArchiveEntry, write_list
from tekup_migrate.errors import CommandFailedError
from tekup_migrate.events import Listener, Ran

_ENTRY = re.compile(r"pg_restore: from TOC entry \d+; \d+ \d+ (?P<rest>.*)\Z")
_ERROR = re.compile(r"pg_restore: error: (?P<error>.*)\Z")
_QUERY_FAILED = "could not execute query: ERROR:  "


@dataclass(frozen=True)
class RestoreProblem:
    """One thing that pg_restore could not do: the archive's entry, and the server's words."""

    entry: str
    error: str


@dataclass(frozen=True, kw_only=True)
class Restoration:
    """One run of pg_restore.

    Attributes:
        archive: the directory archive.
        entries: what to restore of it, in order.
        database: into which database.
        options: further options.
    """

    archive: Path
    entries: tuple[ArchiveEntry, ...]
    database: str
    options: tuple[str, ...] = ()


async def run_pg_restore(
    restoration: Restoration,
    access: Access,
    programs: DumpPrograms,
    *,
    listen: Listener,
) -> tuple[RestoreProblem, ...]:
    """Restore entries of an archive and return what could not be restored; everything else was.

    A newer pg_restore's settings that an older server does not know are no problem: they only guard the session.

    Raises:
        CommandFailedError: pg_restore could not do its work at all.
    """
    with tempfile.TemporaryDirectory(prefix="tekup-migrate-") as folder:
        chosen = Path(folder) / "entries.list"
        write_list(chosen, restoration.entries)
        argv = [
            str(programs.restore),
            *access.options,
            f"--dbname={_connection_string(restoration.database)}",
            f"--use-list={chosen}",
            "--verbose",
            *restoration.options,
            str(restoration.archive),
        ]
        listen(Ran(kind="command", text=" ".join(argv), where=restoration.database))
        reader = _Reader()
        finished = await run_program(argv, environment=access.environment, on_line=reader.on_line)
    problems = tuple(problem for problem in reader.problems if not _only_unknown_setting(problem))
    if finished.code != 0 and not reader.problems:
        raise CommandFailedError(
            "pg_restore failed",
            happened=f"It ended with the code {finished.code} without naming an object.",
            unchanged="The backup is as it was.",
            remedy="Read the details; they are pg_restore's own words.",
            details="\n".join([*finished.said.splitlines()[-20:], *access.failures]),
        )
    return problems


class _Reader:
    """Reads what pg_restore says, line by line."""

    def __init__(self) -> None:
        self.problems: list[RestoreProblem] = []
        self._entry = ""

    def on_line(self, line: str) -> None:
        """Take in one line."""
        if match := _ENTRY.match(line):
            self._entry = match["rest"]
        elif match := _ERROR.match(line):
            self.problems.append(RestoreProblem(self._entry, match["error"].removeprefix(_QUERY_FAILED)))


def _only_unknown_setting(problem: RestoreProblem) -> bool:
    return any(f'unrecognized configuration parameter "{name}"' in problem.error for name in SETTINGS_SINCE)


def _connection_string(database: str) -> str:
    """Return a database's name such that pg_restore cannot take it for a connection string of somebody's making."""
    escaped = database.replace("\\", "\\\\").replace("'", "\\'")
    return f"dbname='{escaped}'"


def without_schemas(entries: Iterable[ArchiveEntry], existing: tuple[str, ...]) -> tuple[ArchiveEntry, ...]:
    """Return entries without the creation of schemas that exist already."""
    return tuple(entry for entry in entries if not entry.creates_schema(existing))
