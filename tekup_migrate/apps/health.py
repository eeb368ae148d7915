"""Whether an app answers: one request, and waiting until it does."""

from __future__ import annotations

import asyncio
import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING
from urllib.parse import SplitResult, urlsplit

from tekup_migrate.apps.lines import clean_line
from tekup_migrate.apps.processes import RunningProcess
from tekup_migrate.errors import CommandFailedError
from tekup_migrate.loopback import is_loopback

if TYPE_CHECKING:
    from http.client import HTTPConnection

BODY_LIMIT = 1_048_576
"""Bytes of an answer's body that are read."""

_SUMMARY_LIMIT = 300


@dataclass(frozen=True)
class ProbeResult:
    """What one request brought.

    ``status`` is None when there was no answer, and ``failure`` then says why. ``summary`` is the body's
    beginning on one line, fit for a screen; ``body`` holds up to ``BODY_LIMIT`` bytes of it as text.
    """

    url: str
    status: int | None
    milliseconds: float
    summary: str = ""
    failure: str = ""
    body: str = field(default="", repr=False)

    @property
    def healthy(self) -> bool:
        """Whether the app answered with success or a redirect."""
        return self.status is not None and 200 <= self.status < 400


async def probe(url: str, *, timeout: float = 5.0) -> ProbeResult:
    """Send one GET and return what came, whatever it was. Redirects are not followed.

    A certificate is not checked on loopback, where development servers sign their own.

    Raises:
        ValueError: ``url`` is not an http or https address.
    """
    from http.client import HTTPException

    parts = urlsplit(url)
    if parts.scheme not in {"http", "https"} or not parts.hostname:
        raise ValueError(f"not an http address: {url!r}")
    connection = _connection(parts, timeout)
    started = time.monotonic()
    try:
        async with asyncio.timeout(timeout):
            status, body = await asyncio.to_thread(_get, connection, _target(parts))
    except TimeoutError:
        return ProbeResult(url, None, _since(started), failure=f"no answer within {timeout:g} s")
    except (OSError, HTTPException) as error:
        return ProbeResult(url, None, _since(started), failure=str(error) or type(error).__name__)
    finally:
        connection.close()
    text = body.decode("utf-8", "replace")
    summary = clean_line(" ".join(text[: 4 * _SUMMARY_LIMIT].split()))[:_SUMMARY_LIMIT]
    return ProbeResult(url, status, _since(started), summary=summary, body=text)


async def wait_until_healthy(url: str, process: RunningProcess, *, limit: float, interval: float = 0.25) -> ProbeResult:
    """Probe every ``interval`` seconds until the app answers well, for at most ``limit`` seconds.

    Raises:
        CommandFailedError: the app ended first, or did not answer well in time; its last lines are in the
            details.
    """
    until = time.monotonic() + limit
    while True:
        remaining = until - time.monotonic()
        result = await probe(url, timeout=max(0.1, min(5.0, remaining)))
        # Asked after the probe: an answer from somebody else on that port must not pass for the app's.
        if await process.ended():
            raise _ended_early(process)
        if result.healthy:
            return result
        if time.monotonic() + interval >= until:
            raise _not_healthy(process, result, limit)
        await asyncio.sleep(interval)


def _ended_early(process: RunningProcess) -> CommandFailedError:
    return CommandFailedError(
        f"{process.argv[0]} ended before it answered",
        happened=f"`{' '.join(process.argv)}` ended with exit code {process.exit_code} after {process.seconds:.1f} s.",
        unchanged="Nothing was changed by asking; the app is not running.",
        remedy="Read its last lines below, put right what they name, and try again.",
        details="\n".join(process.tail[-30:]),
    )


def _not_healthy(process: RunningProcess, result: ProbeResult, limit: float) -> CommandFailedError:
    answer = result.failure if result.status is None else f"status {result.status}: {result.summary}"
    return CommandFailedError(
        "The app did not answer as it should",
        happened=f"{result.url} was asked for {limit:g} s; the last answer was: {answer}",
        unchanged="Nothing was changed by asking; the app was stopped.",
        remedy="Read the app's last lines below. Is the address in the plan right, and the app's .env?",
        details="\n".join(process.tail[-30:]),
    )


def _connection(parts: SplitResult, timeout: float) -> HTTPConnection:
    import ssl
    from http.client import HTTPConnection, HTTPSConnection

    host = parts.hostname or ""
    if parts.scheme == "http":
        return HTTPConnection(host, parts.port, timeout=timeout)
    context = ssl.create_default_context()
    if is_loopback(host):
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
    return HTTPSConnection(host, parts.port, timeout=timeout, context=context)


def _target(parts: SplitResult) -> str:
    return (parts.path or "/") + (f"?{parts.query}" if parts.query else "")


def _get(connection: HTTPConnection, target: str) -> tuple[int, bytes]:
    headers = {"Accept": "application/json, text/html;q=0.9, */*;q=0.8", "Connection": "close"}
    connection.request("GET", target, headers=headers)
    response = connection.getresponse()
    return response.status, response.read(BODY_LIMIT)


def _since(started: float) -> float:
    return (time.monotonic() - started) * 1000
