"""One run at a time per plan: an operating-system lock that dies with its process, and who holds it."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import msgspec
from msgspec import Struct

from tekup_migrate.errors import JournalError, RunLockedError


class Holder(Struct, frozen=True):
    """The process that holds a run, and since when (seconds since the epoch)."""

    pid: int
    since: float


@contextmanager
def hold(folder: Path) -> Iterator[None]:
    """Hold the run whose state is in ``folder`` while the block runs.

    The lock itself is the operating system's, so a killed process never leaves one behind; the file beside
    it only says who has it.

    Raises:
        RunLockedError: another process holds it; the error names the process.
        JournalError: the folder cannot be written.
    """
    from filelock import FileLock, Timeout

    holder = folder / "holder.json"
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        lock = FileLock(folder / "lock", timeout=0)
        lock.acquire()
    except Timeout:
        raise _held(folder, _read(holder)) from None
    except OSError as error:
        raise JournalError(
            "The state directory cannot be written",
            happened=f"{folder}: {error.strerror or error}.",
            unchanged="No step was run.",
            remedy="Make the directory writable, or name another with --state DIR.",
        ) from None
    try:
        holder.write_bytes(msgspec.json.encode(Holder(os.getpid(), time.time())))
        yield
    finally:
        with suppress(OSError):
            holder.unlink(missing_ok=True)
        lock.release()


def _read(path: Path) -> Holder | None:
    try:
        return msgspec.json.decode(path.read_bytes(), type=Holder)
    except (OSError, msgspec.MsgspecError):
        return None


def _held(folder: Path, holder: Holder | None) -> RunLockedError:
    who = "another process"
    if holder is not None:
        who = f"process {holder.pid}, since {time.strftime('%Y-%m-%d %H:%M', time.localtime(holder.since))}"
    return RunLockedError(
        "This plan's run is already open",
        happened=f"It is held by {who}; its state is in {folder}.",
        unchanged="Nothing was read or changed.",
        remedy="Go on in that window, or quit it there first. A process that was killed holds nothing.",
    )
