"""The command: nobody asked on loopback, killed in the middle and called again, and asking on the terminal."""

from __future__ import annotations

import asyncio
import signal
import subprocess
import sys
from collections.abc import Iterator

import pytest

from tekup_migrate.credentials.seal import Seal
from tekup_migrate.journal import JOURNAL, Journal, State
from tekup_migrate.secret_source import SEAL_VARIABLE
from tests.commands import environment, tekup_migrate
from tests.worlds import LIBRARY, OwnWorld, own_world

# Without a keyring, what one process sealed can be opened by another one only with this.
SEAL = {SEAL_VARIABLE: Seal.new_key("library").reveal()}

# The first question on a terminal without a keyring: where secrets are kept.
IN_MEMORY = "2\n"


@pytest.fixture(scope="module")
def world() -> Iterator[OwnWorld]:
    with own_world(LIBRARY, rows=30) as made:
        yield made


def rollback(world: OwnWorld, *more: str, typed: str = "") -> subprocess.CompletedProcess[str]:
    """Run the command to its end."""
    process = start(world, *more)
    out, err = process.communicate(IN_MEMORY + typed, timeout=150)
    return subprocess.CompletedProcess(process.args, process.returncode, out, err)


def start(world: OwnWorld, *more: str) -> subprocess.Popen[str]:
    arguments = ["--plan", str(world.plan_file), "--state", str(world.state), "rollback", *more]
    return subprocess.Popen(
        [sys.executable, "-m", "tekup_migrate", *arguments],
        env=environment({**world.variables, **SEAL}),
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        encoding="utf-8",
    )


def reverted(world: OwnWorld) -> set[str]:
    journal = Journal.open_existing(world.state / world.world.plan.id / JOURNAL)
    assert journal is not None
    run = journal.latest_run()
    assert run is not None
    found = {step for step, entry in journal.latest(run.id).items() if entry.state is State.REVERTED}
    journal.close()
    return found


def test_without_a_run_it_says_so(world: OwnWorld) -> None:
    ended = rollback(world, "--unattended")
    assert ended.returncode == 2
    assert "no run to take back" in ended.stderr


def test_a_second_one_is_refused_and_the_first_killed_in_the_middle_goes_on_where_it_was(world: OwnWorld) -> None:
    # Nobody attests here, so the run is skipped over its manual steps and still does all that can be undone.
    world.run(TEKUP_MIGRATE_SEAL_KEY=SEAL[SEAL_VARIABLE])
    process = start(world, "--unattended")
    assert process.stdout is not None
    for line in process.stdout:
        if line.startswith("reverted") and "desk.env" in line:
            break
    process.send_signal(signal.SIGSTOP)
    second = rollback(world, "--unattended")
    assert second.returncode == 2
    assert str(process.pid) in second.stderr
    process.send_signal(signal.SIGKILL)
    process.communicate(timeout=30)
    first = reverted(world)
    assert "desk.env" in first
    assert "prepare.branch.desk" not in first
    ended = rollback(world, "--unattended")
    assert ended.returncode == 0, ended.stdout + ended.stderr
    assert "desk.env" not in ended.stdout
    assert first < reverted(world)
    tables = asyncio.run(world._value("main", "SELECT count(*) FROM pg_tables WHERE tablename LIKE 'branch\\_%'"))
    assert tables == 0
    options = ("--plan", world.plan_file, "--state", world.state)
    status, report = tekup_migrate(*options, "status"), tekup_migrate(*options, "report")
    told = [line.split()[0] for line in status.out.splitlines() if "Point the env files" in line]
    assert told == ["reverted"], "not “passed”: it does not stand"
    assert "(`desk.env`): reverted, " in report.out
    head = ["git", "symbolic-ref", "--short", "HEAD"]
    repository = world.world.apps["desk"].repository
    assert subprocess.run(head, cwd=repository, capture_output=True, check=True).stdout == b"main\n"


def test_on_the_terminal_each_step_is_shown_and_a_small_letter_does_not_drop(world: OwnWorld) -> None:
    world.run(TEKUP_MIGRATE_SEAL_KEY=SEAL[SEAL_VARIABLE])
    answers = "n\n"
    ended = rollback(world, "--to", "wrap_up", typed=answers)
    assert ended.returncode == 1
    assert "Delete report.md" in ended.stdout
    assert "wrap_up.report" not in reverted(world)
    ended = rollback(world, "--to", "wrap_up", typed="y\ny\ny\nd\nn\n")
    assert "✗ move/one-database on" in ended.stdout
    assert "wrap_up.decommission" in reverted(world)
    assert "wrap_up.push.desk" not in reverted(world)
    ended = rollback(world, "--to", "wrap_up", typed="D\ny\ny\n")
    assert ended.returncode == 0, ended.stdout + ended.stderr
    assert "wrap_up.readme.desk" in reverted(world)
    assert "prove.rows" not in reverted(world)
