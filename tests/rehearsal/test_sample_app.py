"""The sample app, its worker and its checks, started as the plan's commands start them."""

from __future__ import annotations

import asyncio
import contextlib
import http.client
import json
import os
import signal
import sys
import time
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path

import psutil
import pytest

from tekup_migrate.rehearsal.world import World, WorldApp
from tekup_migrate.rehearsal.writer import running_writers


def environment(world: World, extra: Mapping[str, str] | None = None) -> dict[str, str]:
    return {**os.environ, "PATH": os.pathsep.join([str(world.programs), os.environ["PATH"]]), **(extra or {})}


def pnpm(world: World) -> str:
    return str(world.programs / ("pnpm.cmd" if sys.platform == "win32" else "pnpm"))


async def run(world: World, folder: Path, *arguments: str) -> tuple[int, str]:
    process = await asyncio.create_subprocess_exec(
        pnpm(world),
        *arguments,
        cwd=folder,
        env=environment(world),
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )
    said, _ = await process.communicate()
    assert process.returncode is not None
    return process.returncode, said.decode()


@asynccontextmanager
async def serving(world: World, app: WorldApp) -> AsyncIterator[asyncio.subprocess.Process]:
    process = await asyncio.create_subprocess_exec(
        pnpm(world),
        "dev",
        cwd=app.repository,
        env=environment(world, {"DATABASE_URL": "postgresql://nobody@db.example.invalid/real", "PORT": "1"}),
        stdout=asyncio.subprocess.PIPE,
    )
    assert process.stdout is not None
    try:
        async for line in process.stdout:
            if b"listens on" in line:
                break
        yield process
    finally:
        if process.returncode is None:
            for each in (*psutil.Process(process.pid).children(recursive=True), psutil.Process(process.pid)):
                with contextlib.suppress(psutil.Error):
                    each.terminate()
        await process.wait()


async def get(port: int, path: str) -> tuple[int, str]:
    def ask() -> tuple[int, str]:
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=10)
        connection.request("GET", path)
        answer = connection.getresponse()
        return answer.status, answer.read().decode()

    return await asyncio.to_thread(ask)


async def test_the_app_serves_the_database_that_its_own_env_file_names(library: World) -> None:
    app = library.apps["notes"]
    async with serving(library, app) as process:
        status, body = await get(app.port, "/health")
        assert (status, json.loads(body)["status"]) == (200, "ok")
        status, body = await get(app.port, "/api/search?q=note%207")
        assert status == 200
        assert [row["body"] for row in json.loads(body)] == ["note 7"]
        assert await get(app.port, "/") == (200, "<h1>Notes</h1>")
        assert (await get(app.port, "/nowhere"))[0] == 404
        database = library.projects["old"].database
        connection = await database.connect()
        named = "SELECT count(*) FROM pg_stat_activity WHERE application_name = 'notes-api'"
        assert await connection.fetchval(named) > 0
        if sys.platform != "win32":
            process.send_signal(signal.SIGTERM)
            assert await process.wait() == 0
            assert await connection.fetchval(named) == 0
        await connection.close()


async def test_a_database_that_fails_is_a_503_with_the_error(library: World, tmp_path: Path) -> None:
    app = library.apps["notes"]
    config = (app.repository / "app.toml").read_text(encoding="utf-8").replace("FROM notes", "FROM nowhere")
    (tmp_path / "app.toml").write_text(config, encoding="utf-8")
    (tmp_path / ".env").write_bytes((app.repository / ".env").read_bytes())
    (tmp_path / "package.json").write_bytes((app.repository / "package.json").read_bytes())
    elsewhere = WorldApp(repository=tmp_path, remote=app.remote, port=app.port, worker=None)
    async with serving(library, elsewhere):
        status, body = await get(app.port, "/api/search?q=x")
    assert status == 503
    assert "nowhere" in json.loads(body)["error"]


async def test_a_script_runs_from_a_folder_below_and_through_another_script(library: World) -> None:
    below = library.apps["notes"].repository / "deep" / "below"
    below.mkdir(parents=True, exist_ok=True)
    code, said = await run(library, below, "again")
    assert code == 0, said
    assert "ok - notes are there" in said
    assert "ok - the sealed note can be read" in said


async def test_a_missing_script_and_an_unknown_program_fail(library: World) -> None:
    folder = library.apps["notes"].repository
    code, said = await run(library, folder, "nothing")
    assert (code, 'Missing script: "nothing"' in said) == (1, True)
    code, said = await run(library, folder, "odd")
    assert (code, "no stand-in for 'make'" in said) == (1, True)


async def test_another_encryption_key_fails_the_checks(library: World, tmp_path: Path) -> None:
    repository = library.apps["notes"].repository
    for name in ("app.toml", "package.json", ".env"):
        (tmp_path / name).write_bytes((repository / name).read_bytes())
    with (tmp_path / ".env").open("ab") as env:
        env.write(b"ENCRYPTION_KEY=another\n")
    code, said = await run(library, tmp_path, "test")
    assert code == 1
    assert "not ok - the sealed note can be read: the value was sealed with another key" in said


async def test_a_sample_refuses_a_database_elsewhere(library: World, tmp_path: Path) -> None:
    repository = library.apps["notes"].repository
    for name in ("app.toml", "package.json"):
        (tmp_path / name).write_bytes((repository / name).read_bytes())
    (tmp_path / ".env").write_text("DATABASE_URL=postgresql://postgres@db.example.invalid/x\n", encoding="utf-8")
    code, said = await run(library, tmp_path, "test")
    assert code == 1
    assert "names no database on this machine" in said


async def test_the_writer_keeps_writing_until_it_is_stopped(library: World) -> None:
    connection = await library.projects["old"].database.connect()
    count = "SELECT count(*) FROM notes WHERE body = 'written later'"
    try:
        async with running_writers(library) as writers:
            limit = time.monotonic() + 15
            while await connection.fetchval(count) < 3 and time.monotonic() < limit:
                await asyncio.sleep(0.05)
            assert writers.runs("notes")
            await writers.stop("notes")
            assert not writers.runs("notes")
            stopped_at = await connection.fetchval(count)
            assert stopped_at >= 3
            await asyncio.sleep(0.2)
            assert await connection.fetchval(count) == stopped_at
    finally:
        await connection.close()


@pytest.mark.skipif(sys.platform == "win32", reason="reads a POSIX mode")
def test_the_stand_in_for_pnpm_is_executable(library: World) -> None:
    assert os.access(library.programs / "pnpm", os.X_OK)
