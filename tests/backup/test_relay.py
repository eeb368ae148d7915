"""The relay verifies the server before the program's first byte, and carries nobody but our own programs."""

from __future__ import annotations

import asyncio
import ssl
import struct
import subprocess
import sys
import time
from datetime import timedelta
from pathlib import Path

import pytest

from tekup_migrate.backup.dump import backup_project
from tekup_migrate.backup.relay import running_relay, without_channel_binding
from tekup_migrate.errors import ConnectionFailedError, MigrationError
from tekup_migrate.events import Event
from tekup_migrate.gate import Gate
from tekup_migrate.postgres.connection import tls_context
from tekup_migrate.postgres.dsn import ConnectionUrl
from tests.backup.certificates import HOST, Authority
from tests.backup.conftest import Ledger
from tests.backup.tls_front import tls_front

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="Windows does not know the address 127.1")


def _tls_url(ledger: Ledger, port: int) -> ConnectionUrl:
    return ConnectionUrl(user=ledger.url.user, host=HOST, port=port, database=ledger.url.database)


async def test_an_embedded_pg_dump_backs_up_a_server_that_takes_tls_only(
    ledger: Ledger, root: Path, tmp_path: Path, authority: Authority
) -> None:
    events: list[Event] = []
    async with tls_front(ledger.url.port, *authority.issue(tmp_path)) as port:
        request = ledger.request(url=_tls_url(ledger, port), jobs=2, installed=False)
        _, manifest = await backup_project(request, root, listen=events.append, gate=Gate())
    assert manifest.rows == 220
    assert manifest.host == HOST


@pytest.mark.parametrize("case", ["self-signed", "expired", "other host", "no TLS"])
async def test_a_server_that_cannot_prove_itself_is_refused(
    ledger: Ledger, tmp_path: Path, authority: Authority, case: str
) -> None:
    issuer = Authority.make() if case == "self-signed" else authority
    certificate = issuer.issue(
        tmp_path,
        host="db.example.com" if case == "other host" else HOST,
        valid=timedelta(days=-1) if case == "expired" else timedelta(days=1),
    )
    async with tls_front(ledger.url.port, *certificate, answer=b"N" if case == "no TLS" else b"S") as port:
        with pytest.raises(ConnectionFailedError, match="verified TLS"):
            async with running_relay(HOST, port, tls_context()):
                pass


async def test_a_server_that_cannot_prove_itself_gets_no_backup_started(
    ledger: Ledger, root: Path, tmp_path: Path, authority: Authority
) -> None:
    del authority
    async with tls_front(ledger.url.port, *Authority.make().issue(tmp_path)) as port:
        request = ledger.request(url=_tls_url(ledger, port), installed=False)
        with pytest.raises(MigrationError):
            await backup_project(request, root, listen=lambda _: None, gate=Gate())
    assert not root.exists()


async def test_a_program_that_we_did_not_start_is_not_carried(
    ledger: Ledger, tmp_path: Path, authority: Authority
) -> None:
    async with (
        tls_front(ledger.url.port, *authority.issue(tmp_path)) as port,
        running_relay(HOST, port, tls_context()) as relay,
    ):
        assert await asyncio.to_thread(_ask_as_a_stranger, relay.port, tmp_path) == b""
        assert any("did not start" in failure for failure in relay.failures)


def _ask_as_a_stranger(port: int, folder: Path) -> bytes:
    """Speak to the relay from a process that was adopted by init, so that it is no descendant of ours."""
    startup = struct.pack("!II", 20, 196608) + b"user\0x\0\0\0\0\0\0"
    answer = folder / "answer"
    code = f"""
import os, socket, sys, time
if os.fork():
    sys.exit(0)
os.setsid()
time.sleep(0.3)
with socket.create_connection(("127.0.0.1", {port}), timeout=10) as s:
    s.sendall({startup!r})
    try:
        got = s.recv(1000)
    except ConnectionError:
        got = b""
open({str(answer) + ".new"!r}, "wb").write(got)
os.rename({str(answer) + ".new"!r}, {str(answer)!r})
"""
    subprocess.run([sys.executable, "-c", code], check=True, timeout=20)
    for _ in range(100):
        if answer.exists():
            return answer.read_bytes()
        time.sleep(0.1)
    raise AssertionError("the stranger got neither an answer nor a refusal")


async def test_the_relay_refuses_a_context_that_verifies_nothing() -> None:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    with pytest.raises(ValueError, match="verifies"):
        async with running_relay("127.0.0.1", 1, context):
            pass


def test_only_the_channel_bound_mechanism_is_removed() -> None:
    offer = struct.pack("!I", 10) + b"SCRAM-SHA-256-PLUS\0SCRAM-SHA-256\0\0"
    assert without_channel_binding(offer) == struct.pack("!I", 10) + b"SCRAM-SHA-256\0\0"
