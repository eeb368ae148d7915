"""Wrong input: a clear error on stderr, exit code 2, no traceback, and nothing changed."""

from __future__ import annotations

import os
import shutil
import sqlite3
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import msgspec
import pytest

from tekup_migrate.journal import JOURNAL, VERSION, Journal
from tekup_migrate.lock import hold
from tekup_migrate.plan import BUILT_IN, Plan, read_plan
from tests.commands import Ended, tekup_migrate
from tests.plan_file import write_plan
from tests.rehearsed import own_place
from tests.worlds import LIBRARY, OwnWorld, own_world

REHEARSE = ("rehearse", "--unattended", "--rows", 10)


def assert_refused(ended: Ended, *words: object) -> None:
    assert ended.code == 2, ended.out + ended.err
    assert "Traceback" not in ended.err
    for part in ("What happened:", "Not changed:", "What to do:"):
        assert ended.err.count(part) == 1
    for word in words:
        assert str(word) in ended.err
    assert "What happened" not in ended.out


def loopback_plan(folder: Path) -> tuple[Plan, Path]:
    """A plan whose databases are on this machine, at a port where nobody listens."""
    plan = read_plan(LIBRARY)
    projects = {
        name: msgspec.structs.replace(project, url="postgresql://postgres@127.0.0.1:1/postgres")
        for name, project in plan.projects.items()
    }
    plan = msgspec.structs.replace(plan, projects=projects)
    write_plan(plan, folder / "local.toml")
    return plan, folder / "local.toml"


def test_a_missing_plan(tmp_path: Path) -> None:
    for arguments in ((), ("plan",), ("status",), REHEARSE, ("run", "--unattended")):
        assert_refused(tekup_migrate("--plan", tmp_path / "no.toml", *arguments), "no.toml", "No such file")


def test_a_plan_with_an_unknown_key(tmp_path: Path) -> None:
    plan = tmp_path / "p.toml"
    plan.write_text(LIBRARY.read_text(encoding="utf-8").replace("port = 4100", "prot = 4100"), encoding="utf-8")
    assert_refused(tekup_migrate("--plan", plan, "plan"), plan, "apps", "prot")


def test_a_plan_that_is_not_toml_names_the_line(tmp_path: Path) -> None:
    plan = tmp_path / "p.toml"
    plan.write_text("id = 'x'\ntitle = \n", encoding="utf-8")
    assert_refused(tekup_migrate("--plan", plan, "plan"), plan, "line 2")


def test_a_plan_without_a_sample_world_cannot_be_rehearsed() -> None:
    with own_place() as place:
        plan = place.reports / "lonely.toml"
        shutil.copy(LIBRARY, plan)
        assert_refused(tekup_migrate("--plan", plan, *REHEARSE, extra=place.variables), "no sample world", "lonely")
        assert place.left == []


def test_a_state_directory_that_cannot_be_written(tmp_path: Path) -> None:
    _, plan = loopback_plan(tmp_path)
    (tmp_path / "file").write_text("in the way", encoding="utf-8")
    for arguments in (("run", "--unattended"), ("report",), ("status",)):
        ended = tekup_migrate("--plan", plan, "--state", tmp_path / "file" / "state", *arguments)
        assert_refused(ended, tmp_path / "file")
    assert (tmp_path / "file").read_text(encoding="utf-8") == "in the way"


@pytest.mark.parametrize("command", [("status",), ("report",), ("run", "--unattended")], ids=" ".join)
def test_a_journal_of_a_newer_version_is_left_alone(command: tuple[str, ...], tmp_path: Path) -> None:
    plan, file = loopback_plan(tmp_path)
    journal = tmp_path / plan.id / JOURNAL
    Journal.open(journal).close()
    with closing(sqlite3.connect(journal)) as connection:
        connection.execute(f"PRAGMA user_version = {VERSION + 1}")
    before = journal.read_bytes()
    ended = tekup_migrate("--plan", file, "--state", tmp_path, *command)
    assert_refused(ended, "newer", journal)
    assert journal.read_bytes() == before


@pytest.mark.parametrize("content", [b"no database at all" * 100, b"SQLite format 3\0" + b"\7" * 9000])
@pytest.mark.parametrize("command", [("status",), ("report",), ("run", "--unattended")], ids=" ".join)
def test_a_corrupt_journal_is_left_alone(command: tuple[str, ...], content: bytes, tmp_path: Path) -> None:
    plan, file = loopback_plan(tmp_path)
    journal = tmp_path / plan.id / JOURNAL
    journal.parent.mkdir()
    journal.write_bytes(content)
    assert_refused(tekup_migrate("--plan", file, "--state", tmp_path, *command), "damaged", journal)
    assert journal.read_bytes() == content


def test_a_journal_that_lacks_its_tables_is_damaged(tmp_path: Path) -> None:
    plan, file = loopback_plan(tmp_path)
    journal = tmp_path / plan.id / JOURNAL
    Journal.open(journal).close()
    with closing(sqlite3.connect(journal)) as connection:
        connection.execute("DROP TABLE run")
    for command in (("status",), ("report",), ("run", "--unattended")):
        assert_refused(tekup_migrate("--plan", file, "--state", tmp_path, *command), journal)


def test_a_run_held_by_another_process(tmp_path: Path) -> None:
    plan, file = loopback_plan(tmp_path)
    with hold(tmp_path / plan.id):
        ended = tekup_migrate("--plan", file, "--state", tmp_path, "run", "--unattended")
        assert_refused(ended, f"process {os.getpid()}")
    assert not (tmp_path / plan.id / JOURNAL).exists()


def test_an_unattended_run_of_a_database_elsewhere(tmp_path: Path) -> None:
    ended = tekup_migrate("--state", tmp_path / "state", "run", "--unattended")
    assert_refused(ended, "this machine only", "twaoebtlusudzxshjral")
    assert list(tmp_path.iterdir()) == []


def test_a_rehearsal_directory_that_is_not_empty(tmp_path: Path) -> None:
    (tmp_path / "mine.txt").write_text("keep", encoding="utf-8")
    assert_refused(tekup_migrate(*REHEARSE, "--dir", tmp_path), tmp_path, "not empty")
    assert [path.name for path in tmp_path.iterdir()] == ["mine.txt"]


def test_a_report_into_a_missing_directory_is_found_before_the_run() -> None:
    with own_place() as place:
        file = place.reports / "no" / "r.json"
        for arguments in (REHEARSE, ("rehearse", "--rows", 10)):
            ended = tekup_migrate(*arguments, "--report", file, extra=place.variables)
            assert_refused(ended, file, "Nothing was started")
            assert ended.out == ""
        assert place.left == []


def test_more_rows_than_the_disk_has_room_for() -> None:
    with own_place() as place:
        ended = tekup_migrate("rehearse", "--unattended", "--rows", 10**11, extra=place.variables)
        assert_refused(ended, "Not enough room", "fewer --rows")
        assert place.left == []


@contextmanager
def small_disk(place: Path) -> Iterator[None]:
    done = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=20m,mode=755", "tmpfs", str(place)], check=False, capture_output=True
    )
    if done.returncode != 0:
        pytest.skip("a small disk cannot be mounted here")
    try:
        yield
    finally:
        subprocess.run(["umount", str(place)], check=True)


@pytest.mark.skipif(sys.platform != "linux" or os.geteuid() != 0, reason="only root may mount a small disk")
def test_a_disk_that_is_too_small_for_the_servers() -> None:
    with own_place() as place, small_disk(place.temporary):
        assert_refused(tekup_migrate(*REHEARSE, extra=place.variables), "Not enough room", place.temporary)
        assert place.left == []


@pytest.fixture(scope="module")
def own() -> Iterator[OwnWorld]:
    with own_world(LIBRARY, rows=20) as made:
        yield made


def test_a_repository_path_that_is_not_a_repository(own: OwnWorld, tmp_path: Path) -> None:
    (tmp_path / "plain").mkdir()
    apps = {"desk": msgspec.structs.replace(own.world.plan.apps["desk"], path=str(tmp_path / "plain"))}
    plan = msgspec.structs.replace(own.world.plan, apps=apps)
    write_plan(plan, tmp_path / "p.toml")
    ended = OwnWorld(own.world, tmp_path / "p.toml", tmp_path / "state").run()
    assert_refused(ended, tmp_path / "plain", "git")
    assert list((tmp_path / "plain").iterdir()) == []
    assert own.value("main", "SELECT to_regclass('public.branch_books') IS NULL") is True


def test_a_missing_password_is_asked_for_by_its_variable(own: OwnWorld, tmp_path: Path) -> None:
    ended = OwnWorld(own.world, own.plan_file, tmp_path / "state").run(TEKUP_MIGRATE_OLD_PASSWORD="")
    assert_refused(ended, "password of Old branch library", "TEKUP_MIGRATE_OLD_PASSWORD")


def test_a_plan_that_changed_under_an_unfinished_run(tmp_path: Path) -> None:
    plan = read_plan(BUILT_IN)
    projects = {
        name: msgspec.structs.replace(project, url="postgresql://postgres@127.0.0.1:1/postgres")
        for name, project in plan.projects.items()
    }
    write_plan(msgspec.structs.replace(plan, projects=projects), tmp_path / "p.toml")
    journal = Journal.open(tmp_path / plan.id / JOURNAL)
    journal.begin(plan=plan.id, plan_text="another", rehearsal=False)
    journal.close()
    ended = tekup_migrate("--plan", tmp_path / "p.toml", "--state", tmp_path, "run", "--unattended")
    assert_refused(ended, "The plan changed", "another version")
