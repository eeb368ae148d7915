"""What a copy remembers between its passes: key ranges that were proved equal, and the row versions they had then.

Only a memory: losing it costs time, for every range is then read and compared again. It holds keys, so it lives in the
run's own directory.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

import msgspec

from tekup_migrate.postgres.digest import Digest
from tekup_migrate.postgres.keys import Key, KeyRange

_VERSION = 1
_SCHEMA = """
CREATE TABLE home (tbl TEXT PRIMARY KEY, home TEXT NOT NULL) STRICT;
CREATE TABLE proved (
    tbl TEXT NOT NULL, major INTEGER NOT NULL, minor INTEGER NOT NULL, low TEXT NOT NULL, high TEXT NOT NULL,
    digest TEXT NOT NULL, source TEXT NOT NULL, target TEXT NOT NULL, PRIMARY KEY (tbl, major, minor)
) STRICT;
"""
_BATCH = 32


@dataclass(frozen=True)
class Marks:
    """The row versions of a key range on both sides, each as one mark."""

    source: str
    target: str


@dataclass(frozen=True)
class Proved:
    """A key range that was proved equal.

    Attributes:
        place: where it stands in key order: the number of the range of an earlier pass, and 0; or that of the last
            one before it, and a number among the new ones there.
        part: the key range.
        digest: what its rows digested to on both sides.
        marks: the row versions that were there.
    """

    place: tuple[int, int]
    part: KeyRange
    digest: Digest
    marks: Marks


class ProvedTable:
    """What is remembered of one table."""

    def __init__(self, connection: sqlite3.Connection, name: str) -> None:
        self._connection = connection
        self._name = name

    def batches(self) -> Iterator[list[Proved]]:
        """Yield the ranges of earlier passes in key order, some at a time; others may be kept and dropped meanwhile."""
        last = 0  # New ranges stand behind one that was read already, so that this walk does not meet them.
        query = "SELECT major, minor, low, high, digest, source, target FROM proved WHERE tbl = ?"
        query += f" AND major > ? ORDER BY major, minor LIMIT {_BATCH}"
        while rows := self._connection.execute(query, (self._name, last)).fetchall():
            yield [_proved(row) for row in rows]
            last = rows[-1][0]

    def keep(self, proved: Proved) -> None:
        """Remember a range."""
        low, high = (msgspec.json.encode(bound).decode() for bound in (proved.part.low, proved.part.high))
        values = (self._name, *proved.place, low, high, str(proved.digest), proved.marks.source, proved.marks.target)
        self._write("INSERT OR REPLACE INTO proved VALUES (?, ?, ?, ?, ?, ?, ?, ?)", values)

    def drop(self, proved: Proved) -> None:
        """Forget a range."""
        where = "tbl = ? AND major = ? AND minor = ?"
        self._write(f"DELETE FROM proved WHERE {where}", (self._name, *proved.place))

    def _write(self, statement: str, values: tuple[object, ...]) -> None:
        # A full disk must not stop the copy. What then stays is held against the row versions before it is relied on.
        with suppress(sqlite3.OperationalError):
            self._connection.execute(statement, values)


class ProvedRanges:
    """The memory of all tables of a run, in one file."""

    def __init__(self, connection: sqlite3.Connection) -> None:
        self._connection = connection

    @classmethod
    @contextmanager
    def open(cls, path: Path) -> Iterator[ProvedRanges]:
        """Open the file, making it when there is none or when it cannot be read; close it at the block's end."""
        try:
            connection = _connect(path)
        except sqlite3.DatabaseError:
            for each in (path, path.with_name(path.name + "-wal"), path.with_name(path.name + "-shm")):
                each.unlink(missing_ok=True)
            connection = _connect(path)
        try:
            yield cls(connection)
        finally:
            connection.close()

    def table(self, name: str, home: str) -> ProvedTable:
        """Return what is remembered of a table, nothing where it was in another home; places are numbered anew."""
        known = self._connection.execute("SELECT home FROM home WHERE tbl = ?", (name,)).fetchone()
        with self._whole():
            if known != (home,):
                self._connection.execute("DELETE FROM proved WHERE tbl = ?", (name,))
                self._connection.execute("INSERT OR REPLACE INTO home VALUES (?, ?)", (name, home))
            self._connection.execute("CREATE TEMP TABLE renumbered AS SELECT * FROM proved WHERE tbl = ?", (name,))
            self._connection.execute("DELETE FROM proved WHERE tbl = ?", (name,))
            self._connection.execute(
                "INSERT INTO proved SELECT tbl, row_number() OVER (ORDER BY major, minor), 0, low, high, digest,"
                " source, target FROM renumbered"
            )
            self._connection.execute("DROP TABLE renumbered")
        return ProvedTable(self._connection, name)

    @contextmanager
    def _whole(self) -> Iterator[None]:
        self._connection.execute("BEGIN IMMEDIATE")
        try:
            yield
        except BaseException:
            self._connection.execute("ROLLBACK")
            raise
        self._connection.execute("COMMIT")


def _connect(path: Path) -> sqlite3.Connection:
    connection = sqlite3.connect(path, isolation_level=None)
    try:
        connection.execute("PRAGMA journal_mode = WAL")
        # A lost entry is read and compared again; what is there is never half an entry.
        connection.execute("PRAGMA synchronous = NORMAL")
        version = connection.execute("PRAGMA user_version").fetchone()[0]
        sound = connection.execute("PRAGMA quick_check(1)").fetchone()[0]
        if sound != "ok":
            raise sqlite3.DatabaseError(sound)
        if version not in (0, _VERSION):
            raise sqlite3.DatabaseError(f"version {version}")
        if version == 0:
            connection.executescript(f"BEGIN; {_SCHEMA} PRAGMA user_version = {_VERSION}; COMMIT;")
        path.chmod(0o600)
    except BaseException:
        connection.close()
        raise
    return connection


def _proved(row: tuple[int, int, str, str, str, str, str]) -> Proved:
    major, minor, low, high, digest, source, target = row
    first, last = (msgspec.json.decode(bound, type=Key | None) for bound in (low, high))
    return Proved((major, minor), KeyRange(first, last), Digest.read(digest), Marks(source, target))
