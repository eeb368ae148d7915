"""Probing real HTTP servers."""

from __future__ import annotations

import os
import socket
import sys
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from tekup_migrate.apps.health import probe, wait_until_healthy
from tekup_migrate.apps.ports import PortInUseError, port_in_use, require_free_port
from tekup_migrate.apps.processes import start_process
from tekup_migrate.errors import CommandFailedError

ENVIRONMENT = {"PATH": os.environ.get("PATH", ""), "SYSTEMROOT": os.environ.get("SYSTEMROOT", "")}


class Answers(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        status = 503 if self.path == "/ill" else 200
        if self.path == "/slow":
            self.server.release.wait(10)  # type: ignore[attr-defined]
        self.send_response(status)
        self.end_headers()
        self.wfile.write(f'{{"path":\n "{self.path}", "ord": "blå\x1b[31m"}}'.encode())

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture
def server() -> Iterator[str]:
    http = ThreadingHTTPServer(("127.0.0.1", 0), Answers)
    http.release = threading.Event()  # type: ignore[attr-defined]
    thread = threading.Thread(target=http.serve_forever)
    thread.start()
    yield f"http://127.0.0.1:{http.server_port}"
    http.release.set()  # type: ignore[attr-defined]
    http.shutdown()
    thread.join()
    http.server_close()


def free_port() -> int:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        return int(taken.getsockname()[1])


async def test_an_answer_brings_status_time_and_a_summary_on_one_line(server: str) -> None:
    result = await probe(f"{server}/api/search?q=a%20b")
    assert result.healthy
    assert result.status == 200
    assert 0 < result.milliseconds < 5000
    assert result.summary == '{"path": "/api/search?q=a%20b", "ord": "blå"}'
    assert "\n" in result.body


async def test_an_unwell_answer_is_told_with_its_status(server: str) -> None:
    result = await probe(f"{server}/ill")
    assert (result.status, result.healthy) == (503, False)


async def test_nobody_there_is_a_failure_not_an_exception() -> None:
    result = await probe(f"http://127.0.0.1:{free_port()}/health")
    assert result.status is None
    assert result.failure


async def test_a_slow_answer_is_given_up_after_the_timeout(server: str) -> None:
    result = await probe(f"{server}/slow", timeout=0.3)
    assert result.status is None
    assert result.milliseconds < 3000


async def test_what_is_not_http_is_a_failure() -> None:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen()

        def answer() -> None:
            peer, _ = listener.accept()
            with peer:
                peer.recv(1000)
                peer.sendall(b"SSH-2.0-nothing\r\n")

        thread = threading.Thread(target=answer)
        thread.start()
        result = await probe(f"http://127.0.0.1:{listener.getsockname()[1]}/")
        thread.join()
    assert result.status is None
    assert result.failure


async def test_only_http_addresses_are_probed() -> None:
    with pytest.raises(ValueError, match="not an http address"):
        await probe("file:///etc/hosts")


SERVE = """
import sys, time
from http.server import BaseHTTPRequestHandler, HTTPServer
class App(BaseHTTPRequestHandler):
    def do_GET(self):
        self.send_response(200); self.end_headers(); self.wfile.write(b"ok")
time.sleep(0.5)
HTTPServer(("127.0.0.1", int(sys.argv[1])), App).serve_forever()
"""


async def test_waiting_ends_when_the_app_answers(tmp_path: Path) -> None:
    port = free_port()
    async with start_process(
        [sys.executable, "-c", SERVE, str(port)], cwd=tmp_path, environment=ENVIRONMENT
    ) as process:
        result = await wait_until_healthy(f"http://localhost:{port}/health", process, limit=20)
    assert result.summary == "ok"
    assert await port_in_use(port) is None


async def test_an_app_that_ends_early_is_told_with_its_last_lines(tmp_path: Path) -> None:
    code = "import sys; print('DATABASE_URL is missing'); sys.exit(4)"
    async with start_process([sys.executable, "-c", code], cwd=tmp_path, environment=ENVIRONMENT) as process:
        with pytest.raises(CommandFailedError, match="ended before") as raised:
            await wait_until_healthy(f"http://127.0.0.1:{free_port()}/", process, limit=20)
    assert "exit code 4" in raised.value.happened
    assert "DATABASE_URL is missing" in raised.value.details


async def test_somebody_else_on_the_port_does_not_pass_for_the_app(server: str, tmp_path: Path) -> None:
    async with start_process([sys.executable, "-c", "pass"], cwd=tmp_path, environment=ENVIRONMENT) as process:
        await process.wait()
        with pytest.raises(CommandFailedError, match="ended before"):
            await wait_until_healthy(f"{server}/health", process, limit=5)


async def test_an_app_that_stays_unwell_is_given_up_with_its_last_answer(server: str, tmp_path: Path) -> None:
    code = "import time; print('cannot reach the database', flush=True); time.sleep(60)"
    async with start_process([sys.executable, "-c", code], cwd=tmp_path, environment=ENVIRONMENT) as process:
        with pytest.raises(CommandFailedError, match="did not answer") as raised:
            await wait_until_healthy(f"{server}/ill", process, limit=1)
    assert "503" in raised.value.happened
    assert "cannot reach the database" in raised.value.details


async def test_a_port_in_use_is_told_with_its_holder() -> None:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen()
        port = int(listener.getsockname()[1])
        holder = await port_in_use(port)
        assert holder is not None
        assert holder.pid in {os.getpid(), None}
        with pytest.raises(PortInUseError, match=f"Port {port} is in use"):
            await require_free_port(port)
    await require_free_port(port)
