"""Trying a key against a project's API: a real server on this machine, and everything that can go wrong with one."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator

import pytest

from tekup_migrate.credentials.key_trial import Tried, try_key
from tekup_migrate.credentials.secret import Secret
from tekup_migrate.rehearsal.api import running_gateways
from tests.keymaking import made_jwt, made_ref, made_secret_key


def key(value: str) -> Secret:
    return Secret(value, kind="key")


async def test_a_project_tells_its_own_keys_from_others() -> None:
    ref = made_ref()
    anon, service = key(made_jwt(ref=ref, role="anon")), key(made_secret_key())
    async with running_gateways({"new": (anon, service), "old": ()}) as addresses:
        assert [(await try_key(addresses["new"], each)).tried for each in (anon, service)] == [Tried.ACCEPTED] * 2
        refused = await try_key(addresses["old"], anon)
    assert refused.tried is Tried.REFUSED
    assert "401: Invalid API key" in refused.said
    assert anon.reveal() not in refused.said


@contextlib.asynccontextmanager
async def answering(answer: bytes) -> AsyncIterator[tuple[str, list[bytes]]]:
    """A server that answers anything with the same bytes, and keeps what it was sent."""
    sent: list[bytes] = []

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        sent.append(await reader.read(4096))
        if answer:
            writer.write(answer)
            await writer.drain()
        else:
            await reader.read()
        writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    try:
        yield f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}", sent
    finally:
        server.close()


async def test_a_redirect_is_not_followed_and_no_verdict() -> None:
    async with answering(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}") as (elsewhere, sent):
        moved = f"HTTP/1.1 302 Found\r\nLocation: {elsewhere}/\r\nContent-Length: 0\r\n\r\n"
        async with answering(moved.encode()) as (address, _):
            trial = await try_key(address, key("sb_" + "secret_x"))
    assert trial.tried is Tried.UNTRIED
    assert "302" in trial.said
    assert sent == []


@pytest.mark.parametrize("answer", [b"nonsense\r\n\r\n", b"HTTP/1.1 540 Paused\r\nContent-Length: 0\r\n\r\n"])
async def test_what_is_no_answer_to_the_question_is_no_verdict(answer: bytes) -> None:
    async with answering(answer) as (address, _):
        assert (await try_key(address, key("x"))).tried is Tried.UNTRIED


async def test_a_silent_server_is_given_up() -> None:
    async with answering(b"") as (address, _):
        trial = await try_key(address, key("x"), timeout=0.2)
    assert trial.tried is Tried.UNTRIED
    assert "within 0.2 s" in trial.said


async def test_a_key_is_never_sent_in_plaintext_beyond_this_machine() -> None:
    trial = await try_key("http://ref.example.invalid", key("x"))
    assert trial == type(trial)(Tried.UNTRIED, "http://ref.example.invalid is no https address")


async def test_what_cannot_be_a_header_is_not_repeated() -> None:
    async with answering(b"") as (address, sent):
        trial = await try_key(address, key("two\r\nlines-of-it"))
    assert trial.tried is Tried.UNTRIED
    assert "lines-of-it" not in trial.said
    assert sent == []
