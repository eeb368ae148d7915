"""The journal: what was written is there after any kill, and a file that is not ours is left alone."""

from __future__ import annotations

import os
import signal
import sqlite3
import subprocess
import sys
import time
from contextlib import closing
from pathlib import Path

import pytest

from tekup_migrate.errors import JournalError
from tekup_migrate.journal import VERSION, Journal, State
from tekup_migrate.steps import Evidence, Preview, Verdict

WRITER = """
import sys
from pathlib import Path
from tekup_migrate.journal import Journal, State
journal = Journal.open(Path(sys.argv[1]))
run = journal.begin(plan="p", plan_text="", rehearsal=False)
for number in range(1_000_000):
    journal.write(run.id, f"step.{number}", State.INTENDED)
    print(number, flush=True)
"""


def test_entries_come_back_as_they_were_written(tmp_path: Path) -> None:
    journal = Journal.open(tmp_path / "deep" / "journal.sqlite3")
    run = journal.begin(plan="p", plan_text="text", rehearsal=True)
    preview = Preview(title="T", target="æøå [/]", verb="Do", undo="none", world=("w",))
    evidence = Evidence(verdict=Verdict.PASSED, summary="3 tables", facts=("a", "b"))
    journal.write(run.id, "s", State.INTENDED, preview=preview, fingerprint=preview.fingerprint)
    journal.write(run.id, "s", State.VERIFIED, evidence=evidence, seconds=1.5)
    assert journal.preview(run.id, "s") == preview
    entry = journal.latest(run.id)["s"]
    assert (entry.evidence, entry.seconds, entry.done) == (evidence, 1.5, True)
    assert journal.latest_run() == run


def test_notes_and_time_are_kept_per_run(tmp_path: Path) -> None:
    journal = Journal.open(tmp_path / "j")
    run = journal.begin(plan="p", plan_text="", rehearsal=False)
    journal.remember(run.id, "key", b"\x00\xff")
    journal.remember(run.id, "key", b"new")
    assert journal.recall(run.id, "key") == b"new"
    assert journal.recall("other", "key") is None
    span = journal.begin_span(run.id, "setup")
    time.sleep(0.02)
    journal.end_span(span)
    assert 0.01 < journal.seconds_by_phase(run.id)["setup"] < 5


def test_every_write_is_synced_in_wal_mode(tmp_path: Path) -> None:
    journal = Journal.open(tmp_path / "j")
    ask = journal._connection.execute
    assert ask("PRAGMA journal_mode").fetchone() == ("wal",)
    assert ask("PRAGMA synchronous").fetchone() == (2,)


@pytest.mark.skipif(sys.platform == "win32", reason="SIGKILL is POSIX; Windows ends processes the same way")
@pytest.mark.parametrize("after", [0, 7, 40])
def test_everything_acknowledged_survives_a_kill(tmp_path: Path, after: int) -> None:
    path = tmp_path / "journal.sqlite3"
    child = subprocess.Popen([sys.executable, "-c", WRITER, str(path)], stdout=subprocess.PIPE, text=True)
    assert child.stdout is not None
    for line in child.stdout:
        if int(line) >= after:
            break
    os.kill(child.pid, signal.SIGKILL)
    acknowledged = [after, *(int(line) for line in child.stdout.read().split())]
    child.wait()
    child.stdout.close()
    journal = Journal.open(path)
    run = journal.latest_run()
    assert run is not None
    assert len(journal.entries(run.id)) >= max(acknowledged) + 1


def test_a_newer_journal_is_refused_and_left_as_it_is(tmp_path: Path) -> None:
    path = tmp_path / "j"
    connection = sqlite3.connect(path)
    connection.execute(f"PRAGMA user_version = {VERSION + 1}")
    connection.close()
    before = path.read_bytes()
    for opening in (Journal.open, Journal.open_existing):
        with pytest.raises(JournalError, match="newer"):
            opening(path)
    assert path.read_bytes() == before


@pytest.mark.parametrize("content", [b"not a database at all" * 100, b"SQLite format 3\x00" + b"\xff" * 4096])
def test_a_corrupt_journal_is_refused_and_left_as_it_is(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "j"
    path.write_bytes(content)
    with pytest.raises(JournalError):
        Journal.open(path)
    assert path.read_bytes() == content


def test_a_journal_with_a_damaged_page_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "j"
    journal = Journal.open(path)
    run = journal.begin(plan="p", plan_text="", rehearsal=False)
    for number in range(500):
        journal.write(run.id, f"step.{number}", State.APPLIED, reason="x" * 100)
    journal.close()
    content = bytearray(path.read_bytes())
    content[4096 * 3 : 4096 * 6] = os.urandom(4096 * 3)
    path.write_bytes(content)
    with pytest.raises(JournalError, match="damaged"):
        Journal.open(path)


def test_a_journal_whose_index_lost_a_step_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "j"
    journal = Journal.open(path)
    run = journal.begin(plan="p", plan_text="", rehearsal=False)
    journal.close()
    # An entry that the index does not know: the step would count as not done, although every page is sound.
    with closing(sqlite3.connect(path, isolation_level=None)) as connection:
        connection.execute("PRAGMA writable_schema = ON")
        kept = connection.execute("SELECT * FROM sqlite_schema WHERE name = 'entry_by_step'").fetchone()
        connection.execute("DELETE FROM sqlite_schema WHERE name = 'entry_by_step'")
    with closing(sqlite3.connect(path, isolation_level=None)) as connection:
        connection.execute("INSERT INTO entry VALUES (1, ?, 's', 'verified', 0, 0, '', '', '', '')", (run.id,))
        connection.execute("PRAGMA writable_schema = ON")
        connection.execute("INSERT INTO sqlite_schema VALUES (?, ?, ?, ?, ?)", kept)
    before = path.read_bytes()
    for look in (Journal.open, Journal.open_existing):
        with pytest.raises(JournalError, match="damaged"):
            look(path)
    assert path.read_bytes() == before


def test_a_journal_can_be_read_while_it_is_written(tmp_path: Path) -> None:
    path = tmp_path / "j"
    assert Journal.open_existing(path) is None
    writer = Journal.open(path)
    run = writer.begin(plan="p", plan_text="", rehearsal=False)
    reader = Journal.open_existing(path)
    assert reader is not None
    writer.write(run.id, "s", State.APPLIED)
    assert reader.latest(run.id)["s"].state is State.APPLIED


def test_a_state_directory_that_is_a_file_is_a_clear_error(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    for look in (Journal.open, Journal.open_existing):
        with pytest.raises(JournalError, match="cannot be used"):
            look(tmp_path / "file" / "j")
