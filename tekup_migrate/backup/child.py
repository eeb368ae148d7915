"""Postgres' own programs as child processes: no shell, no inherited settings, and none left behind."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from tekup_migrate.errors import CommandFailedError

GRACE_SECONDS = 5.0
"""How long a program may take to end after it was asked to; pg_dump uses it to cancel its queries."""

_READ_BYTES = 64 * 1024
_KEPT_CHARACTERS = 20_000


@dataclass(frozen=True)
class Finished:
    """How a program ended: its exit code, and the last 20 000 characters of what it wrote to stderr."""

    code: int
    said: str


def clean_environment(extra: Mapping[str, str], base: Mapping[str, str] | None = None) -> dict[str, str]:
    """Return an environment without settings that would steer libpq elsewhere, plus ``extra``.

    ``PGSERVICE``, ``PGOPTIONS``, ``PGSSLMODE`` and the like of the operator's shell must not reach a dump.
    """
    inherited = os.environ if base is None else base
    kept = {key: value for key, value in inherited.items() if not key.upper().startswith("PG")}
    return {**kept, "LC_ALL": "C", **extra}


async def run_program(
    argv: Sequence[str | Path],
    *,
    environment: Mapping[str, str],
    on_line: Callable[[str], None] | None = None,
    on_start: Callable[[int], None] | None = None,
) -> Finished:
    """Run a program to its end; when cancelled, end it and everything it started.

    Args:
        argv: the program by absolute path, and its arguments; no secrets.
        environment: the whole environment of the child.
        on_line: takes each line of stderr as it comes.
        on_start: takes the process id once there is one.
    """
    process = await asyncio.create_subprocess_exec(
        *argv,
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.DEVNULL,
        stderr=asyncio.subprocess.PIPE,
        env=dict(environment),
        start_new_session=sys.platform != "win32",
    )
    try:
        if on_start is not None:
            on_start(process.pid)
        said = await _listen(process, on_line)
        return Finished(code=await process.wait(), said=said)
    finally:
        # A pause or a failure elsewhere gets here with the program still running.
        await asyncio.shield(end_process(process))


async def read_output(argv: Sequence[str | Path], *, environment: Mapping[str, str], limit: float = 30.0) -> Finished:
    """Run a short program and return its stdout in ``said``; for ``--version`` and ``pg_restore -l``.

    Raises:
        CommandFailedError: it does not end within ``limit`` seconds, or cannot be started.
    """
    try:
        process = await asyncio.create_subprocess_exec(
            *argv,
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
            env=dict(environment),
            start_new_session=sys.platform != "win32",
        )
    except OSError as error:
        raise _unusable(argv, f"it cannot be started: {error.strerror or error}") from error
    try:
        out, err = await asyncio.wait_for(process.communicate(), limit)
    except TimeoutError as error:
        raise _unusable(argv, f"it did not end within {limit:.0f} seconds") from error
    finally:
        await asyncio.shield(end_process(process))
    text = out if process.returncode == 0 else err
    return Finished(code=process.returncode or 0, said=text.decode("utf-8", "replace"))


def _unusable(argv: Sequence[str | Path], why: str) -> CommandFailedError:
    return CommandFailedError(
        f"{Path(argv[0]).name} cannot be used",
        happened=f"{argv[0]}: {why}.",
        unchanged="No database was changed.",
        remedy="Run the program by hand to see what is wrong with it, or take it off the PATH.",
    )


async def end_process(process: asyncio.subprocess.Process) -> None:
    """End a process and its children: asked first, killed after the grace period; none is left."""
    if process.returncode is not None:
        return
    _signal_group(process, "SIGTERM")
    try:
        await asyncio.wait_for(process.wait(), GRACE_SECONDS)
    except TimeoutError:
        _signal_group(process, "SIGKILL")
        await process.wait()
    else:
        # The leader may be gone while a worker still writes its last file.
        _signal_group(process, "SIGKILL")


def _signal_group(process: asyncio.subprocess.Process, name: str) -> None:
    try:
        if sys.platform == "win32":
            # pg_dump's parallel workers are threads of the one process there.
            process.kill()
        else:
            os.killpg(process.pid, getattr(signal, name))
    except (ProcessLookupError, PermissionError):
        # Already gone; macOS says "not permitted" of a group that holds only zombies.
        return


async def _listen(process: asyncio.subprocess.Process, on_line: Callable[[str], None] | None) -> str:
    stream = process.stderr
    if stream is None:
        return ""
    kept = ""
    rest = ""
    while piece := await stream.read(_READ_BYTES):
        text = rest + piece.decode("utf-8", "replace")
        *lines, rest = text.split("\n")
        for line in lines:
            kept = (kept + line.rstrip("\r") + "\n")[-_KEPT_CHARACTERS:]
            if on_line is not None:
                on_line(line.rstrip("\r"))
    return (kept + rest)[-_KEPT_CHARACTERS:]
