"""Child processes: real ones, ended with everything they started."""

from __future__ import annotations

import asyncio
import os
import sys
import time
from pathlib import Path

import psutil
import pytest

from tekup_migrate.apps.executable import resolve_executable
from tekup_migrate.apps.processes import TAIL_LINES, run_command, start_process
from tekup_migrate.errors import CommandFailedError

PYTHON = sys.executable
ENVIRONMENT = {"PATH": os.environ.get("PATH", ""), "SYSTEMROOT": os.environ.get("SYSTEMROOT", "")}


def gone(pid: int) -> bool:
    try:
        return psutil.Process(pid).status() == psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return True


async def pids_from(file: Path, count: int) -> list[int]:
    for _ in range(500):
        found = file.read_text(encoding="utf-8").split() if file.exists() else []
        if len(found) == count:
            return [int(pid) for pid in found]
        await asyncio.sleep(0.02)
    raise AssertionError("the children did not start")


NEST = """
import os, pathlib, signal, subprocess, sys, time
file, depth, mode = pathlib.Path(sys.argv[1]), int(sys.argv[2]), sys.argv[3]
if mode == "deaf":
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
with file.open("a", encoding="utf-8") as out:
    out.write(f"{os.getpid()}\\n")
if depth:
    subprocess.Popen([sys.executable, __file__, str(file), str(depth - 1), mode])
if mode == "launcher" and depth == 2:
    sys.exit(0)
time.sleep(600)
"""


@pytest.fixture
def nest(tmp_path: Path) -> Path:
    script = tmp_path / "nest æ [1].py"
    script.write_text(NEST, encoding="utf-8")
    return script


async def test_a_command_returns_its_exit_code_and_its_lines_in_order(tmp_path: Path) -> None:
    heard: list[str] = []
    code = "import sys; print('en'); print('to', file=sys.stderr); print('træ'); sys.exit(3)"
    finished = await run_command(
        [PYTHON, "-u", "-X", "utf8", "-c", code],
        cwd=tmp_path,
        environment=ENVIRONMENT,
        timeout=20,
        on_line=heard.append,
    )
    assert finished.exit_code == 3
    assert heard == ["en", "to", "træ"]
    assert finished.tail == ("en", "to", "træ")
    with pytest.raises(CommandFailedError, match="failed") as raised:
        finished.require_success()
    assert "træ" in raised.value.details


async def test_the_child_sees_only_the_environment_it_was_given(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("NOT_FOR_CHILDREN", "1")
    code = "import os; print(os.environ.get('NOT_FOR_CHILDREN'), os.environ['MINE'])"
    finished = await run_command(
        [PYTHON, "-c", code], cwd=tmp_path, environment={**ENVIRONMENT, "MINE": "a b"}, timeout=20
    )
    assert finished.tail == ("None a b",)


async def test_arguments_reach_the_program_as_they_are(tmp_path: Path) -> None:
    nasty = ["$HOME", "a b", "*", "; exit 1", "-x", "æøå", 'q"uote', ""]
    finished = await run_command(
        [PYTHON, "-X", "utf8", "-c", "import sys; print(sys.argv[1:])", *nasty],
        cwd=tmp_path,
        environment=ENVIRONMENT,
        timeout=20,
    )
    assert finished.tail == (repr(nasty),)


async def test_a_missing_program_is_named_and_nothing_is_started(tmp_path: Path) -> None:
    with pytest.raises(CommandFailedError) as raised:
        await run_command(["no-such-program"], cwd=tmp_path, environment=ENVIRONMENT, timeout=5)
    assert "no-such-program" in str(raised.value)
    assert "not started" in raised.value.unchanged


async def test_a_missing_folder_is_named(tmp_path: Path) -> None:
    with pytest.raises(CommandFailedError, match="cannot be started") as raised:
        await run_command([PYTHON], cwd=tmp_path / "gone", environment=ENVIRONMENT, timeout=5)
    assert "gone" in raised.value.happened


@pytest.mark.skipif(sys.platform == "win32", reason="POSIX modes")
def test_programs_are_found_on_the_given_path_only_and_relative_to_the_folder(tmp_path: Path) -> None:
    program = tmp_path / "node_modules" / ".bin" / "tool"
    program.parent.mkdir(parents=True)
    program.write_text("#!/bin/sh\n", encoding="utf-8")
    program.chmod(0o755)
    assert resolve_executable(["tool"], cwd=tmp_path, environment={"PATH": "node_modules/.bin"}) == program
    assert resolve_executable(["./node_modules/.bin/tool"], cwd=tmp_path, environment={}) == program
    with pytest.raises(CommandFailedError):
        resolve_executable(["sh"], cwd=tmp_path, environment={})


@pytest.mark.skipif(sys.platform == "win32", reason="POSIX modes")
def test_a_batch_file_is_not_given_an_argument_its_interpreter_would_act_on(tmp_path: Path) -> None:
    program = tmp_path / "pnpm.cmd"
    program.write_text("", encoding="utf-8")
    program.chmod(0o755)
    where = {"PATH": str(tmp_path)}
    assert resolve_executable(["pnpm.cmd", "run", "db:push"], cwd=tmp_path, environment=where) == program
    with pytest.raises(CommandFailedError, match="argument"):
        resolve_executable(["pnpm.cmd", 'a" & calc'], cwd=tmp_path, environment=where)


async def test_a_timeout_ends_the_whole_tree(tmp_path: Path, nest: Path) -> None:
    file = tmp_path / "pids"
    with pytest.raises(CommandFailedError, match="too long"):
        await run_command(
            [PYTHON, str(nest), str(file), "2", "plain"], cwd=tmp_path, environment=ENVIRONMENT, timeout=3
        )
    pids = await pids_from(file, 3)
    assert all(gone(pid) for pid in pids)


async def test_a_cancellation_ends_the_whole_tree_before_it_is_passed_on(tmp_path: Path, nest: Path) -> None:
    file = tmp_path / "pids"
    running = asyncio.create_task(
        run_command([PYTHON, str(nest), str(file), "2", "plain"], cwd=tmp_path, environment=ENVIRONMENT, timeout=60)
    )
    pids = await pids_from(file, 3)
    running.cancel()
    await asyncio.sleep(0)
    running.cancel()
    with pytest.raises(asyncio.CancelledError):
        await running
    assert all(gone(pid) for pid in pids)


async def test_programs_left_by_a_launcher_that_has_exited_are_ended(tmp_path: Path, nest: Path) -> None:
    file = tmp_path / "pids"
    async with start_process(
        [PYTHON, str(nest), str(file), "2", "launcher"], cwd=tmp_path, environment=ENVIRONMENT
    ) as process:
        pids = await pids_from(file, 3)
        assert await process.wait() == 0
        assert not await process.ended()
        assert not gone(pids[2])
    assert all(gone(pid) for pid in pids)
    assert await process.ended()


@pytest.mark.skipif(sys.platform == "win32", reason="sessions are POSIX")
async def test_a_descendant_in_a_session_of_its_own_is_ended_too(tmp_path: Path) -> None:
    file = tmp_path / "pids"
    code = (
        "import os, subprocess, sys, time\n"
        "child = subprocess.Popen(['sleep', '600'], start_new_session=True)\n"
        f"open({str(file)!r}, 'w').write(str(child.pid))\n"
        "time.sleep(600)\n"
    )
    async with start_process([PYTHON, "-c", code], cwd=tmp_path, environment=ENVIRONMENT):
        pids = await pids_from(file, 1)
    assert gone(pids[0])


@pytest.mark.skipif(sys.platform == "win32", reason="SIGTERM is POSIX")
async def test_a_program_deaf_to_the_polite_request_is_killed(tmp_path: Path, nest: Path) -> None:
    file = tmp_path / "pids"
    async with start_process(
        [PYTHON, str(nest), str(file), "1", "deaf"], cwd=tmp_path, environment=ENVIRONMENT
    ) as process:
        pids = await pids_from(file, 2)
        started = time.monotonic()
        await process.stop(grace=0.3)
        assert time.monotonic() - started < 5
    assert all(gone(pid) for pid in pids)


async def test_a_running_process_tells_that_it_ended_and_what_it_said_last(tmp_path: Path) -> None:
    code = "import sys; print('no DATABASE_URL'); sys.exit(7)"
    async with start_process([PYTHON, "-c", code], cwd=tmp_path, environment=ENVIRONMENT) as process:
        assert await process.wait() == 7
        assert await process.ended()
        assert process.tail == ("no DATABASE_URL",)


async def test_only_the_last_lines_are_kept(tmp_path: Path) -> None:
    heard = 0

    def count(_: str) -> None:
        nonlocal heard
        heard += 1

    finished = await run_command(
        [PYTHON, "-c", "for n in range(20000): print(n)"],
        cwd=tmp_path,
        environment=ENVIRONMENT,
        timeout=20,
        on_line=count,
    )
    assert heard == 20_000
    assert len(finished.tail) == TAIL_LINES
    assert finished.tail[-1] == "19999"


async def test_an_error_of_the_listener_is_raised_and_leaves_no_child(tmp_path: Path) -> None:
    def refuse(line: str) -> None:
        raise ValueError(line)

    code = "import os, time; print(os.getpid(), flush=True); time.sleep(600)"
    with pytest.raises(ValueError, match=r"\d+") as raised:
        await run_command([PYTHON, "-c", code], cwd=tmp_path, environment=ENVIRONMENT, timeout=20, on_line=refuse)
    assert gone(int(str(raised.value)))


async def test_a_stranger_is_left_alone(tmp_path: Path) -> None:
    async with (
        start_process([PYTHON, "-c", "import time; time.sleep(60)"], cwd=tmp_path, environment=ENVIRONMENT) as a,
        start_process([PYTHON, "-c", "import time; time.sleep(60)"], cwd=tmp_path, environment=ENVIRONMENT) as b,
    ):
        await a.stop()
        assert a.exit_code is not None
        assert b.exit_code is None
