"""Trying an API key against its project: one request that reads the project's public settings."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING
from urllib.parse import SplitResult, urlsplit

import msgspec

from tekup_migrate.credentials.secret import Secret
from tekup_migrate.loopback import is_loopback

if TYPE_CHECKING:
    from http.client import HTTPConnection

SETTINGS = "/auth/v1/settings"
SECONDS = 8.0

_MOST_BYTES = 65_536
_LONGEST = 160


class Tried(StrEnum):
    """What came of trying a key."""

    ACCEPTED = "accepted"
    REFUSED = "refused"
    UNTRIED = "not tried"


@dataclass(frozen=True, slots=True)
class KeyTrial:
    """How a project took a key: ``said`` is its own word, or why it could not be asked."""

    tried: Tried
    said: str


class _Body(msgspec.Struct):
    message: str | None = None
    msg: str | None = None


async def try_key(address: str, key: Secret, *, timeout: float = SECONDS) -> KeyTrial:
    """Ask a project's API for its settings with a key; the gateway checks the key before it answers.

    The key travels in a header, over verified TLS (plaintext on loopback only), and no redirect is followed.

    Args:
        address: the project's own address, such as ``https://<ref>.supabase.co``.
        key: an anon, publishable, service or secret key.
        timeout: seconds until the project counts as not to be asked.
    """
    from http.client import HTTPException

    parts = urlsplit(address)
    host = parts.hostname or ""
    if parts.scheme != "https" and not (parts.scheme == "http" and is_loopback(host)):
        return KeyTrial(Tried.UNTRIED, f"{address} is no https address")
    connection = _connection(parts, host, timeout)
    try:
        async with asyncio.timeout(timeout):
            status, body = await asyncio.to_thread(_get, connection, key)
    except TimeoutError:
        return KeyTrial(Tried.UNTRIED, f"{host} did not answer within {timeout:g} s")
    except (OSError, HTTPException, ValueError) as error:
        # http.client refuses a header it cannot send with ValueError and repeats it: only the type is told.
        said = "the key cannot be sent" if isinstance(error, ValueError) else str(error) or type(error).__name__
        return KeyTrial(Tried.UNTRIED, f"{host} could not be asked: {said}")
    finally:
        connection.close()
    return _judged(host, status, body)


def _judged(host: str, status: int, body: bytes) -> KeyTrial:
    if status == 200:
        return KeyTrial(Tried.ACCEPTED, f"{host} accepted it")
    said = _message(body)
    told = f"{status}: {said}" if said else str(status)
    if status in (401, 403):
        return KeyTrial(Tried.REFUSED, f"{host} refused it ({told})")
    return KeyTrial(Tried.UNTRIED, f"{host} answered {told}")


def _message(body: bytes) -> str:
    try:
        found = msgspec.json.decode(body, type=_Body)
    except (msgspec.DecodeError, UnicodeDecodeError):
        return ""
    return " ".join((found.message or found.msg or "").split())[:_LONGEST]


def _connection(parts: SplitResult, host: str, timeout: float) -> HTTPConnection:
    import ssl
    from http.client import HTTPConnection, HTTPSConnection

    if parts.scheme == "http":
        return HTTPConnection(host, parts.port, timeout=timeout)
    import certifi

    context = ssl.create_default_context(cafile=certifi.where())
    return HTTPSConnection(host, parts.port, timeout=timeout, context=context)


def _get(connection: HTTPConnection, key: Secret) -> tuple[int, bytes]:
    headers = {"apikey": key.reveal(), "User-Agent": "tekup-migrate", "Connection": "close"}
    connection.request("GET", SETTINGS, headers=headers)
    response = connection.getresponse()
    return response.status, response.read(_MOST_BYTES)
