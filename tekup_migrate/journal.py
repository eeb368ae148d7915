"""The durable record of a run: what was intended, applied, verified, skipped, and what exactly ran.

SQLite in WAL mode with ``synchronous=FULL``: when a method that writes returns, the entry is on disk. Every
text that comes in has been redacted by the caller. There is no other source of truth about progress.
"""

from __future__ import annotations

import sqlite3
import time
import uuid
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from enum import Enum
from pathlib import Path
from typing import NoReturn

import msgspec
from msgspec import Struct

from tekup_migrate.errors import JournalError
from tekup_migrate.steps import Evidence, Preview, Verdict

JOURNAL = "journal.sqlite3"
VERSION = 1

_SCHEMA = """
CREATE TABLE run (
    id TEXT PRIMARY KEY, plan TEXT NOT NULL, plan_text TEXT NOT NULL, rehearsal INTEGER NOT NULL,
    started REAL NOT NULL, finished REAL
) STRICT;
CREATE TABLE entry (
    seq INTEGER PRIMARY KEY, run TEXT NOT NULL REFERENCES run, step TEXT NOT NULL, state TEXT NOT NULL,
    at REAL NOT NULL, seconds REAL NOT NULL, fingerprint TEXT NOT NULL, preview TEXT NOT NULL,
    evidence TEXT NOT NULL, reason TEXT NOT NULL
) STRICT;
CREATE INDEX entry_by_step ON entry (run, step, seq);
CREATE TABLE ran (
    seq INTEGER PRIMARY KEY, run TEXT NOT NULL REFERENCES run, step TEXT NOT NULL, at REAL NOT NULL,
    kind TEXT NOT NULL, location TEXT NOT NULL, text TEXT NOT NULL
) STRICT;
CREATE TABLE note (
    run TEXT NOT NULL REFERENCES run, key TEXT NOT NULL, value BLOB NOT NULL, PRIMARY KEY (run, key)
) STRICT;
CREATE TABLE span (
    seq INTEGER PRIMARY KEY, run TEXT NOT NULL REFERENCES run, phase TEXT NOT NULL,
    started REAL NOT NULL, ended REAL NOT NULL
) STRICT;
"""


class State(Enum):
    """What the journal last knows of a step."""

    INTENDED = "intended"
    APPLIED = "applied"
    VERIFIED = "verified"
    SKIPPED = "skipped"
    FAILED = "failed"
    REVERTING = "reverting"
    REVERTED = "reverted"


class RunRecord(Struct, frozen=True, kw_only=True):
    """One carrying-out of a plan; times are seconds since the epoch, ``finished`` 0 while it is not."""

    id: str
    plan: str
    plan_text: str
    rehearsal: bool
    started: float
    finished: float


class Entry(Struct, frozen=True, kw_only=True):
    """One thing that was written about one step."""

    seq: int
    step: str
    state: State
    at: float
    seconds: float
    fingerprint: str
    evidence: Evidence | None
    reason: str

    @property
    def done(self) -> bool:
        """Whether the run goes on behind this step.

        A step whose evidence is not good is done only when the operator accepted it, with a reason.
        """
        if self.state is State.SKIPPED:
            return True
        if self.state is not State.VERIFIED or self.evidence is None:
            return False
        good = self.evidence.verdict in (Verdict.PASSED, Verdict.ATTESTED, Verdict.SKIPPED)
        return good or bool(self.reason)


class RanRecord(Struct, frozen=True, kw_only=True):
    """One statement, command or file change that was carried out."""

    step: str
    at: float
    kind: str
    location: str
    text: str


class Journal:
    """An open journal file; one process writes it at a time, others may read."""

    def __init__(self, path: Path, connection: sqlite3.Connection) -> None:
        self.path = path
        self._connection = connection

    @classmethod
    def open(cls, path: Path) -> Journal:
        """Open a journal, making it when there is none.

        Raises:
            JournalError: it cannot be written, is damaged, or comes from a newer version.
        """
        with _clear_errors(path), ExitStack() as unless_open:
            path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            connection = sqlite3.connect(path, isolation_level=None, timeout=10)
            unless_open.callback(connection.close)
            version = _check(path, connection)
            connection.execute("PRAGMA journal_mode = WAL")
            connection.execute("PRAGMA synchronous = FULL")
            connection.execute("PRAGMA foreign_keys = ON")
            if version == 0:
                connection.executescript(f"BEGIN; {_SCHEMA} PRAGMA user_version = {VERSION}; COMMIT;")
            unless_open.pop_all()
            return cls(path, connection)

    @classmethod
    def open_existing(cls, path: Path) -> Journal | None:
        """Open a journal for reading, beside a process that may be writing it; None when there is none.

        Raises:
            JournalError: it cannot be read, is damaged, or comes from a newer version.
        """
        with _clear_errors(path), ExitStack() as unless_open:
            try:
                path.stat()
            except FileNotFoundError:
                return None
            connection = sqlite3.connect(f"{path.absolute().as_uri()}?mode=ro", uri=True, timeout=10)
            unless_open.callback(connection.close)
            _check(path, connection)
            unless_open.pop_all()
            return cls(path, connection)

    def close(self) -> None:
        """Close the file; what was written stays."""
        self._connection.close()

    def begin(self, *, plan: str, plan_text: str, rehearsal: bool) -> RunRecord:
        """Start a run; ``plan_text`` is the plan as read, kept so that a changed plan is noticed."""
        now = time.time()
        run = f"{time.strftime('%Y%m%d', time.gmtime(now))}-{uuid.uuid4().hex[:8]}"
        with _clear_errors(self.path):
            self._connection.execute(
                "INSERT INTO run VALUES (?, ?, ?, ?, ?, NULL)", (run, plan, plan_text, int(rehearsal), now)
            )
        return RunRecord(id=run, plan=plan, plan_text=plan_text, rehearsal=rehearsal, started=now, finished=0.0)

    def finish(self, run: str) -> None:
        """Mark a run as finished."""
        with _clear_errors(self.path):
            self._connection.execute("UPDATE run SET finished = ? WHERE id = ?", (time.time(), run))

    def reopen(self, run: str) -> None:
        """Mark a run as not finished any more: some of it was taken back."""
        with _clear_errors(self.path):
            self._connection.execute("UPDATE run SET finished = NULL WHERE id = ?", (run,))

    def latest_run(self) -> RunRecord | None:
        """Return the run that was begun last, finished or not."""
        with _clear_errors(self.path):
            row = self._connection.execute(
                "SELECT id, plan, plan_text, rehearsal, started, finished FROM run ORDER BY started DESC, rowid DESC"
            ).fetchone()
        if row is None:
            return None
        return RunRecord(
            id=row[0], plan=row[1], plan_text=row[2], rehearsal=bool(row[3]), started=row[4], finished=row[5] or 0.0
        )

    def write(
        self,
        run: str,
        step: str,
        state: State,
        *,
        preview: Preview | None = None,
        fingerprint: str = "",
        evidence: Evidence | None = None,
        reason: str = "",
        seconds: float = 0.0,
    ) -> None:
        """Add an entry about a step; on disk when this returns."""
        texts = [msgspec.json.encode(part).decode() if part is not None else "" for part in (preview, evidence)]
        with _clear_errors(self.path):
            self._connection.execute(
                "INSERT INTO entry (run, step, state, at, seconds, fingerprint, preview, evidence, reason)"
                " VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)",
                (run, step, state.value, time.time(), seconds, fingerprint, *texts, reason),
            )

    def entries(self, run: str) -> tuple[Entry, ...]:
        """Return all entries of a run, oldest first."""
        with _clear_errors(self.path):
            rows = self._connection.execute(
                "SELECT seq, step, state, at, seconds, fingerprint, evidence, reason"
                " FROM entry WHERE run = ? ORDER BY seq",
                (run,),
            ).fetchall()
            return tuple(
                Entry(
                    seq=seq,
                    step=step,
                    state=State(state),
                    at=at,
                    seconds=seconds,
                    fingerprint=fingerprint,
                    evidence=msgspec.json.decode(evidence, type=Evidence) if evidence else None,
                    reason=reason,
                )
                for seq, step, state, at, seconds, fingerprint, evidence, reason in rows
            )

    def latest(self, run: str) -> dict[str, Entry]:
        """Return each step's latest entry by step id."""
        return {entry.step: entry for entry in self.entries(run)}

    def preview(self, run: str, step: str, *, before: int | None = None) -> Preview | None:
        """Return the preview that was last confirmed for a step, or before the entry of that number."""
        with _clear_errors(self.path):
            row = self._connection.execute(
                "SELECT preview FROM entry WHERE run = ? AND step = ? AND preview <> '' AND seq < ifnull(?, seq + 1)"
                " ORDER BY seq DESC",
                (run, step, before),
            ).fetchone()
            return msgspec.json.decode(row[0], type=Preview) if row else None

    def write_ran(self, run: str, step: str, *, kind: str, location: str, text: str) -> None:
        """Keep what was just carried out."""
        with _clear_errors(self.path):
            self._connection.execute(
                "INSERT INTO ran (run, step, at, kind, location, text) VALUES (?, ?, ?, ?, ?, ?)",
                (run, step, time.time(), kind, location, text),
            )

    def ran(self, run: str) -> tuple[RanRecord, ...]:
        """Return everything that was carried out in a run, oldest first."""
        with _clear_errors(self.path):
            rows = self._connection.execute(
                "SELECT step, at, kind, location, text FROM ran WHERE run = ? ORDER BY seq", (run,)
            ).fetchall()
        return tuple(RanRecord(step=r[0], at=r[1], kind=r[2], location=r[3], text=r[4]) for r in rows)

    def remember(self, run: str, key: str, value: bytes) -> None:
        """Keep what a step must still know in a later sitting."""
        with _clear_errors(self.path):
            self._connection.execute("INSERT OR REPLACE INTO note VALUES (?, ?, ?)", (run, key, value))

    def recall(self, run: str, key: str) -> bytes | None:
        """Return what was kept under ``key``, or None."""
        with _clear_errors(self.path):
            row = self._connection.execute("SELECT value FROM note WHERE run = ? AND key = ?", (run, key)).fetchone()
        return None if row is None else bytes(row[0])

    def forget(self, run: str, key: str) -> None:
        """Keep nothing under ``key`` any more."""
        with _clear_errors(self.path):
            self._connection.execute("DELETE FROM note WHERE run = ? AND key = ?", (run, key))

    def begin_span(self, run: str, phase: str) -> int:
        """Start counting time spent in a phase; returns the span's number for ``end_span``."""
        now = time.time()
        with _clear_errors(self.path):
            cursor = self._connection.execute(
                "INSERT INTO span (run, phase, started, ended) VALUES (?, ?, ?, ?)", (run, phase, now, now)
            )
        return int(cursor.lastrowid or 0)

    def end_span(self, number: int) -> None:
        """Count the span's time up to now; called again and again, so that a kill loses little."""
        with _clear_errors(self.path):
            self._connection.execute("UPDATE span SET ended = ? WHERE seq = ?", (time.time(), number))

    def seconds_by_phase(self, run: str) -> dict[str, float]:
        """Return the seconds spent in each phase so far."""
        with _clear_errors(self.path):
            rows = self._connection.execute(
                "SELECT phase, SUM(ended - started) FROM span WHERE run = ? GROUP BY phase", (run,)
            ).fetchall()
        return {phase: float(seconds) for phase, seconds in rows}


class RunMemory:
    """One run's durable notes, as the ``Memory`` that steps are given."""

    def __init__(self, journal: Journal, run: str) -> None:
        self._journal = journal
        self._run = run

    def remember(self, key: str, value: bytes) -> None:
        """Keep ``value`` durably under ``key``."""
        self._journal.remember(self._run, key, value)

    def recall(self, key: str) -> bytes | None:
        """Return what was kept under ``key``, or None."""
        return self._journal.recall(self._run, key)

    def forget(self, key: str) -> None:
        """Keep nothing under ``key`` any more."""
        self._journal.forget(self._run, key)


def _check(path: Path, connection: sqlite3.Connection) -> int:
    """Return the file's format version, 0 for an empty file."""
    version = int(connection.execute("PRAGMA user_version").fetchone()[0])
    if version > VERSION:
        raise JournalError(
            "The journal was written by a newer tekup-migrate",
            happened=f"{path} has format {version}; this version knows formats up to {VERSION}.",
            unchanged="The journal was not written to, and no step was run.",
            remedy="Use the newer tekup-migrate, or start elsewhere with --state DIR.",
        )
    check = connection.execute("PRAGMA integrity_check(1)").fetchone()[0]
    if check != "ok":
        _refuse_damaged(path, str(check))
    return version


@contextmanager
def _clear_errors(path: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        _refuse_unwritable(path, error.strerror or str(error))
    except sqlite3.OperationalError as error:
        _refuse_unwritable(path, str(error))
    except (sqlite3.DatabaseError, msgspec.MsgspecError, ValueError) as error:
        _refuse_damaged(path, str(error))


def _refuse_unwritable(path: Path, reason: str) -> NoReturn:
    raise JournalError(
        "The journal cannot be used",
        happened=f"{path}: {reason}.",
        unchanged="No further step was run.",
        remedy="Make the directory writable and make room on its disk, or name another with --state DIR.",
    )


def _refuse_damaged(path: Path, reason: str) -> NoReturn:
    raise JournalError(
        "The journal is damaged",
        happened=f"{path} cannot be read as a journal: {reason}.",
        unchanged="The file was left as it is, and no step was run.",
        remedy="Put a copy of it back, or move it away and start a new run: what the databases"
        " already hold is found and compared again.",
    )
