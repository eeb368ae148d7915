"""``kill -9`` at many moments of one run, each time started again: the end is that of an undisturbed run."""

from __future__ import annotations

import asyncio
import json
import signal
import socket
import sqlite3
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tekup_migrate.postgres.dsn import parse_url
from tekup_migrate.rehearsal.sample_config import read_environment
from tekup_migrate.rehearsal.supabase import connect_as_superuser
from tests.commands import Ended
from tests.rehearsed import processes_in
from tests.worlds import LIBRARY, OwnWorld, own_world

if TYPE_CHECKING:
    from asyncpg import Connection, Record

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="there is no kill -9 there")
ROWS = 40_000

MOMENTS = (
    "desk.create applied before",
    "desk.copy applied after",
    "desk.env applied before",
    "wrap_up.push.desk applied before",
)
MORE_MOMENTS = (
    *MOMENTS,
    "prepare.backup.old applied before",
    "prepare.branch.desk applied before",
    "desk.attach applied before",
    "desk.env verified before",
    "wrap_up.readme.desk applied before",
    "wrap_up.commit.desk applied before",
)

KILLED = """
import os, signal, sys
from tekup_migrate.cli import main
from tekup_migrate.journal import Journal
step, state, when = os.environ["KILL_AT"].split()
write = Journal.write
def write_or_die(self, run, of, what, **more):
    here = (of, what.value) == (step, state)
    if here and when == "before":
        os.kill(os.getpid(), signal.SIGKILL)
    write(self, run, of, what, **more)
    if here:
        os.kill(os.getpid(), signal.SIGKILL)
Journal.write = write_or_die
sys.exit(main(sys.argv[1:]))
"""


@dataclass
class Seen:
    """What the chain of kills showed on its way."""

    own: OwnWorld
    env_before: bytes
    codes: dict[str, int] = field(default_factory=dict)
    committed: int = 0
    partial: str = ""
    refused: Ended | None = None
    last: Ended | None = None

    @property
    def repository(self) -> Path:
        return self.own.world.apps["desk"].repository

    @property
    def report(self) -> dict[str, list[dict[str, object]]]:
        found: dict[str, list[dict[str, object]]] = json.loads((self.own.state / "r.json").read_text(encoding="utf-8"))
        return found

    def kill_at(self, moment: str) -> None:
        self.codes[moment] = self.own.run(program=("-c", KILLED), KILL_AT=moment).code

    def kill_when(self, name: str, ready: Callable[[], bool]) -> None:
        process = self.own.start(("-m", "tekup_migrate"))
        limit = time.monotonic() + 90
        while not ready() and process.poll() is None and time.monotonic() < limit:
            time.sleep(0.005)
        process.kill()
        process.communicate()
        self.codes[name] = process.returncode


@pytest.fixture(scope="module", params=["few", pytest.param("more", marks=pytest.mark.long)])
def seen(request: pytest.FixtureRequest) -> Iterator[Seen]:
    moments = MOMENTS if request.param == "few" else MORE_MOMENTS
    with own_world(LIBRARY, rows=ROWS) as own:
        env_file = own.world.apps["desk"].repository / ".env.production"
        found = Seen(own, env_file.read_bytes())

        def kill_at(*wanted: str) -> None:
            for moment in wanted:
                if moment in moments:
                    found.kill_at(moment)

        backups = own.state / "library"
        found.kill_when("in the middle of a dump", lambda: any(backups.glob("*/backups/*.partial")))
        found.partial = next(backups.glob("*/backups/*.partial")).name
        kill_at("prepare.backup.old applied before", "prepare.branch.desk applied before", "desk.create applied before")
        found.committed = kill_in_the_middle_of_the_copy(found)
        kill_at("desk.copy applied after", "desk.attach applied before", "desk.env applied before")
        kill_at("desk.env verified before")
        with socket.create_server(("127.0.0.1", own.world.apps["desk"].port)):
            found.refused = own.run()
        found.kill_when("while the app runs", lambda: listens(own.world.apps["desk"].port))
        kill_at("wrap_up.readme.desk applied before", "wrap_up.commit.desk applied before")
        kill_at("wrap_up.push.desk applied before")
        found.last = own.run("--report", own.state / "r.json")
        yield found


def listens(port: int) -> bool:
    try:
        socket.create_connection(("127.0.0.1", port), timeout=1).close()
    except OSError:
        return False
    return True


def kill_in_the_middle_of_the_copy(found: Seen) -> int:
    """Let some chunks through, hold the rest back, kill, and return how many rows are there for good."""
    process = found.own.start(("-m", "tekup_migrate"))
    try:
        return asyncio.run(_hold_and_kill(found, process))
    finally:
        process.kill()
        process.communicate()
        found.codes["in the middle of the copy"] = process.returncode


async def _hold_and_kill(found: Seen, process: subprocess.Popen[str]) -> int:
    connection = await connect_as_superuser(found.own.world.projects["main"].server)
    try:
        limit = time.monotonic() + 90
        while not await connection.fetchval("SELECT EXISTS (SELECT FROM branch_loans)"):
            assert process.poll() is None
            assert time.monotonic() < limit
            await asyncio.sleep(0.003)
        async with connection.transaction():
            await connection.execute("LOCK TABLE branch_loans IN SHARE ROW EXCLUSIVE MODE")
            process.kill()
            process.wait()
        await _until_alone(connection)
        counts = "SELECT (SELECT count(*) FROM branch_books) + (SELECT count(*) FROM branch_loans)"
        return int(await connection.fetchval(counts))
    finally:
        await connection.close()


async def _until_alone(connection: Connection[Record]) -> None:
    others = (
        "SELECT count(*) FROM pg_stat_activity WHERE backend_type = 'client backend' AND pid <> pg_backend_pid()"
        " AND datname = current_database()"
    )
    limit = time.monotonic() + 20
    while await connection.fetchval(others):
        assert time.monotonic() < limit
        await asyncio.sleep(0.02)


def test_every_kill_was_a_kill(seen: Seen) -> None:
    assert set(seen.codes.values()) == {-signal.SIGKILL}, seen.codes


def test_the_run_ends_as_if_nothing_had_happened(seen: Seen) -> None:
    assert seen.last is not None
    assert seen.last.code == 0, seen.last.out[-3000:] + seen.last.err
    assert [each["verdict"] for each in seen.report["criteria"]] == ["passed"] * 3
    verdicts = {step["id"]: step["verdict"] for step in seen.report["steps"]}
    assert verdicts.pop("desk.writers") == "skipped"
    assert set(verdicts.values()) <= {"passed", "skipped"}


def test_it_was_one_run_all_along(seen: Seen) -> None:
    with closing(sqlite3.connect(seen.own.state / "library" / "journal.sqlite3")) as journal:
        assert journal.execute("SELECT count(*) FROM run").fetchone() == (1,)
        assert journal.execute("PRAGMA integrity_check").fetchone() == ("ok",)


@pytest.mark.parametrize(("there", "here"), [('"Books"', "branch_books"), ("loans", "branch_loans")])
def test_rows_are_equal_by_plain_select(seen: Seen, there: str, here: str) -> None:
    sql = "SELECT array_agg(t::text ORDER BY id) FROM {} t"
    rows = seen.own.value("old", sql.format(there))
    assert isinstance(rows, list)
    assert len(rows) == ROWS
    assert seen.own.value("main", sql.format(here)) == rows


def test_what_was_copied_before_the_kill_was_not_copied_again(seen: Seen) -> None:
    assert ROWS < seen.committed < 2 * ROWS
    figures = json.loads((seen.own.state / "r.json").read_text(encoding="utf-8"))["figures"]
    assert figures["rows"] == 2 * ROWS - seen.committed


def test_a_half_written_backup_is_cleared_away_and_never_taken_for_one(seen: Seen) -> None:
    assert seen.partial.startswith("old-backup-")
    folder = next((seen.own.state / "library").glob("*/backups"))
    found = sorted(path.name for path in folder.iterdir())
    # The target's second one is the step's that comes right before its tables are made.
    assert [name.partition("-backup-")[0] for name in found] == ["main", "main", "old"]
    backed_up = {step["id"]: step["evidence"] for step in seen.report["steps"] if ".backup." in str(step["id"])}
    steps = ("prepare.backup.main", "desk.backup.main", "prepare.backup.old")
    for name, evidence in zip(found, [backed_up[step] for step in steps], strict=True):
        assert isinstance(evidence, dict)
        assert name in evidence["summary"]
        assert (folder / name / "RESTORE.md").is_file()


def test_the_env_file_is_rewritten_once_and_only_in_its_values(seen: Seen) -> None:
    now = (seen.repository / ".env.production").read_bytes()
    target = seen.own.world.projects["main"]
    url = read_environment(seen.repository / ".env.production").values["DIRECT_URL"]
    assert parse_url(seen.own.world.plan.target.url).url.port == target.server.port
    assert f":{target.server.port}/postgres?sslmode=disable&statement_timeout=60000" in url
    before, after = seen.env_before.splitlines(), now.splitlines()
    assert [line.split(b"=")[0] for line in before] == [line.split(b"=")[0] for line in after]
    assert [line for line in before if line in after] == [before[0], b"# pooled"]


def test_there_is_one_commit_and_it_is_pushed(seen: Seen) -> None:
    def git(folder: Path, *arguments: str) -> str:
        return subprocess.run(["git", *arguments], cwd=folder, check=True, capture_output=True, text=True).stdout

    assert git(seen.repository, "rev-list", "--count", "main..HEAD").strip() == "1"
    remote = seen.own.world.apps["desk"].remote
    assert git(remote, "rev-parse", "move/one-database") == git(seen.repository, "rev-parse", "HEAD")


def test_a_port_in_use_is_named_and_the_run_goes_on_once_it_is_free(seen: Seen) -> None:
    assert seen.refused is not None
    assert seen.refused.code == 2
    assert f"Port {seen.own.world.apps['desk'].port} is in use" in seen.refused.err
    assert "Traceback" not in seen.refused.err + seen.refused.out


def test_no_process_of_a_killed_run_is_left(seen: Seen) -> None:
    lines = [" ".join(line) for line in processes_in(seen.own.world.directory)]
    ours = ("postgres", "tekup_migrate.watchdog")
    assert not [line for line in lines if not any(each in line for each in ours)]
