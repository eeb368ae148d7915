"""The restore drill: a backup counts when it has been restored and every row was found again."""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Collection, Iterable
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from tekup_migrate.backup.manifest import ARCHIVE, Manifest
from tekup_migrate.backup.pg_restore import RestoreProblem
from tekup_migrate.backup.programs import choose_programs
from tekup_migrate.backup.shims import Shims
from tekup_migrate.backup.toc import entries_of
from tekup_migrate.backup.trial import RestoredTable, RestoreTarget, Trial
from tekup_migrate.backup.verify import require_whole
from tekup_migrate.events import Listener
from tekup_migrate.gate import Gate
from tekup_migrate.postgres.connection import connect
from tekup_migrate.postgres.programs import EMBEDDED_MAJORS
from tekup_migrate.steps import Evidence, Figure, Verdict

_MOST_WAL = 2 * 10**9
"""What the throw-away server keeps of its write-ahead log, at most."""

_MISSING = re.compile(
    r"(?P<kind>schema|relation|type|function|operator class|access method|table|role|text search \w+) "
    r'"?(?P<name>[^"( ]+)"?(?:\(.*\))? does not exist'
)


@dataclass(frozen=True)
class LeftOut:
    """Something that could not be restored, and why.

    ``outside`` says that the reason is something the archive never held, such as a table of another schema.
    """

    entry: str
    reason: str
    outside: bool


@dataclass(frozen=True)
class DrillResult:
    """What a restore drill proved.

    Attributes:
        folder: the backup.
        server_version: the version of the server that it was restored into.
        tables: every table of the backup.
        left_out: what could not be restored.
        shims: what stood in for what the throw-away server lacks.
        seconds: how long the drill took.
        earlier: how many of the tables were proved before a pause, and not again.
    """

    folder: Path
    server_version: str
    tables: tuple[RestoredTable, ...]
    left_out: tuple[LeftOut, ...]
    shims: tuple[str, ...]
    seconds: float
    earlier: int = 0

    @property
    def verdict(self) -> Verdict:
        """``passed`` when every table came back equal and nothing is left out for a reason inside the archive."""
        if any(table.found is not None and not table.equal for table in self.tables):
            return Verdict.DIFFERS
        if any(not left.outside for left in self.left_out):
            return Verdict.DIFFERS
        # A table that needs an extension which this server cannot have: nothing is known of its rows.
        return Verdict.PASSED if all(table.equal for table in self.tables) else Verdict.UNVERIFIED

    @property
    def evidence(self) -> Evidence:
        """The result as a step's evidence."""
        equal = sum(table.equal for table in self.tables)
        rows = sum(table.rows for table in self.tables if table.equal)
        facts = [f"Restored into Postgres {self.server_version}; every column of every row compared by digest."]
        if self.earlier:
            facts.append(
                f"{self.earlier} of the tables were proved before a pause and not again; foreign keys were made on"
                " empty tables only."
            )
        facts += [_fact(table) for table in self.tables]
        facts += [f"Not restored: {left.entry}: {left.reason}" for left in self.left_out]
        if self.shims:
            facts.append(f"Stood in for by the drill: {', '.join(self.shims)}.")
        return Evidence(
            verdict=self.verdict,
            summary=f"{equal} of {len(self.tables)} tables restored and equal, {rows:,} rows",
            facts=tuple(facts),
            figures=(Figure("rows", rows, "rows"), Figure("drill", round(self.seconds, 1), "seconds")),
        )


def drill_major(manifest: Manifest) -> int:
    """Return the embedded major version to restore a backup into: the oldest that its archive fits.

    The newest one where the source is newer still; the drill then says what it could not restore.
    """
    wanted = max(manifest.server_major, manifest.dump_major)
    return next((major for major in sorted(EMBEDDED_MAJORS) if major >= wanted), max(EMBEDDED_MAJORS))


def expected_seconds(manifest: Manifest, proved: Collection[RestoredTable] = ()) -> float:
    """Return how long a drill of a backup will take, to be shown beforehand; less where tables are ``proved`` already.

    Measured on 100 000 documents and vectors, a drill takes twice as long as its dump took; a server is started too.
    """
    took = datetime.fromisoformat(manifest.ended) - datetime.fromisoformat(manifest.started)
    whole = sum(table.bytes for table in manifest.tables)
    left = whole - sum(table.expected.bytes for table in proved)
    return 5 + 2 * took.total_seconds() * (left / whole if whole else 1)


def server_bytes(manifest: Manifest) -> int:
    """Return the room that the rows, their keys and the write-ahead log will take on the throw-away server's disk."""
    rows = sum(table.bytes for table in manifest.tables)
    return rows * 3 // 2 + min(rows, _MOST_WAL)


async def drill(
    folder: Path,
    target: RestoreTarget,
    *,
    listen: Listener,
    gate: Gate,
    proved: Collection[RestoredTable] = (),
    note: Callable[[RestoredTable], None] = lambda table: None,
) -> DrillResult:
    """Restore a backup into new databases of a throw-away server and compare every table's digest.

    The databases are dropped at the end, and at a pause.

    Args:
        folder: the backup, not sealed.
        target: the server.
        listen: takes events.
        gate: where a pause is asked for.
        proved: tables of this very backup that an earlier, paused drill has proved; they are passed over.
        note: takes each table that came back equal, and its keys with it, as soon as it is known.

    Raises:
        MigrationError: the backup is damaged, or pg_restore could not do its work at all.
        PauseRequested: a pause was asked for.
    """
    gate.check()
    return await gate.guard(_drill(folder, target, listen, tuple(proved), note))


async def _drill(
    folder: Path,
    target: RestoreTarget,
    listen: Listener,
    proved: tuple[RestoredTable, ...],
    note: Callable[[RestoredTable], None],
) -> DrillResult:
    began = time.monotonic()
    manifest = await require_whole(folder, rows=False)
    programs = await choose_programs(manifest.dump_major, restoring=True)
    version = await _version(target)
    earlier = {each.expected: each for each in proved if each.equal and each.expected in manifest.tables}
    entries = await entries_of(folder / ARCHIVE, programs)
    trial = Trial(folder / ARCHIVE, target, manifest, programs, listen)
    shims, undefined = await trial.define(entries)
    left = tuple(table for table in manifest.tables if table not in earlier)
    found, unrestored = await trial.prove(entries, left, note)
    tables = {table.expected: table for table in found} | earlier
    return DrillResult(
        folder=folder,
        server_version=version,
        tables=tuple(tables[table] for table in manifest.tables),
        left_out=_left_out((*undefined, *unrestored), manifest, shims),
        shims=shims.notes,
        seconds=time.monotonic() - began,
        earlier=len(earlier),
    )


async def _version(target: RestoreTarget) -> str:
    connection = await connect(target.url, target.password)
    try:
        version: str = await connection.fetchval("SHOW server_version")
    finally:
        connection.terminate()
    return version.split(" ", maxsplit=1)[0]


def _left_out(problems: Iterable[RestoreProblem], manifest: Manifest, shims: Shims) -> tuple[LeftOut, ...]:
    """Return each entry that failed once, with its first reason; what leans on such an entry has its reason too."""
    inside = set(manifest.schemas) - {extension.schema for extension in shims.lacking}
    found: dict[str, LeftOut] = {}
    for problem in problems:
        match = _MISSING.search(problem.error)
        schema, _, name = match["name"].rpartition(".") if match else ("", "", "")
        # A bare name is looked for nowhere while restoring; only these have no schema by nature.
        whose = schema or (name if match and match["kind"] in ("schema", "role", "access method") else "")
        outside = bool(whose) and whose not in inside
        leaning = bool(name) and any(left.outside and f" {name} " in left.entry for left in found.values())
        left = LeftOut(problem.entry, problem.error, outside=outside or leaning)
        found.setdefault(problem.entry, left)
    return tuple(found.values())


def _fact(table: RestoredTable) -> str:
    if table.equal:
        return f"{table.expected.label}: {table.rows:,} rows, equal"
    if table.found is None:
        return f"{table.expected.label}: not restored"
    return f"{table.expected.label}: differs; {table.rows:,} rows restored, {table.expected.rows:,} in the source"
