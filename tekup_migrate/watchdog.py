"""Ends what lives in a directory of ours when the process that made it is gone, however it went.

A child process holds the reading end of a pipe. The system closes the other end when the parent ends, even by
``kill -9``; the child then ends every server and sample app that runs in the directory, and removes it. It
finds them by looking at the running processes, so there is no instant at which one is not yet registered.
"""

from __future__ import annotations

import contextlib
import os
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from tekup_migrate.removal import remove_tree

if TYPE_CHECKING:
    import psutil

_POSTGRES_PROGRAMS = {"postgres", "pg_ctl", "initdb", "pg_restore"}
_OUR_MODULES = "tekup_migrate.rehearsal."
_QUIET_SECONDS = 0.3
_LIMIT_SECONDS = 20.0


@dataclass(frozen=True)
class Watchdog:
    """The parent's handle on its watchdog."""

    process: subprocess.Popen[bytes]

    @staticmethod
    def start(directory: Path, *, keep: bool) -> Watchdog:
        """Start watching over ``directory``; with ``keep`` its files stay, its processes do not."""
        command = [sys.executable, "-m", "tekup_migrate.watchdog", str(directory)]
        if keep:
            command.append("--keep")
        environment = {**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))}
        return Watchdog(
            subprocess.Popen(  # noqa: S603 - our own interpreter and module
                command,
                stdin=subprocess.PIPE,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
                env=environment,
                start_new_session=True,
                creationflags=_detached_flags(),
            )
        )

    def release(self) -> None:
        """Let the watchdog do what is left to do, and wait until it is gone."""
        if self.process.stdin is not None:
            self.process.stdin.close()
        self.process.wait()


def _detached_flags() -> int:
    if sys.platform == "win32":
        return subprocess.CREATE_NEW_PROCESS_GROUP | subprocess.CREATE_NO_WINDOW
    return 0


def end_processes(directory: Path) -> int:
    """End every Postgres program and sample app that lives in ``directory``; return how many were found.

    Looks again until none has been seen for a moment, because a program being started starts others.
    """
    found = 0
    limit = time.monotonic() + _LIMIT_SECONDS
    quiet_since = time.monotonic()
    while time.monotonic() < limit and time.monotonic() - quiet_since < _QUIET_SECONDS:
        residents = _residents(directory)
        if residents:
            found += len(residents)
            _end(residents)
            quiet_since = time.monotonic()
        else:
            time.sleep(0.05)
    return found


def _residents(directory: Path) -> list[psutil.Process]:
    import psutil

    return [
        process
        for process in psutil.process_iter(["name", "cmdline"])
        if process.pid != os.getpid() and _lives_in(process, directory)
    ]


def _lives_in(process: psutil.Process, directory: Path) -> bool:
    import psutil

    arguments: list[str] = process.info["cmdline"] or []
    name = (process.info["name"] or "").lower().removesuffix(".exe")
    if name in _POSTGRES_PROGRAMS:
        return any(_inside(argument, directory) for argument in arguments)
    if not any(argument.startswith(_OUR_MODULES) for argument in arguments):
        return False
    try:
        return _inside(process.cwd(), directory) or any(_inside(each, directory) for each in arguments)
    except psutil.Error:
        return False


def _inside(argument: str, directory: Path) -> bool:
    return argument == str(directory) or argument.startswith(f"{directory}{os.sep}")


def _end(processes: list[psutil.Process]) -> None:
    """Ask politely, then insist; a server is told to stop without a checkpoint, its data is thrown away."""
    import psutil

    for process in processes:
        with contextlib.suppress(psutil.Error):
            if sys.platform != "win32" and process.info["name"] == "postgres":
                import signal

                process.send_signal(signal.SIGQUIT)
            else:
                process.terminate()
    for process in _wait(processes, seconds=6):
        with contextlib.suppress(psutil.Error):
            process.kill()
    _wait(processes, seconds=3)


def _wait(processes: list[psutil.Process], *, seconds: float) -> list[psutil.Process]:
    """Wait until all have ended; return those that have not. A zombie has: who reaps it is not our matter."""
    limit = time.monotonic() + seconds
    alive = [process for process in processes if _runs(process)]
    while alive and time.monotonic() < limit:
        time.sleep(0.02)
        alive = [process for process in alive if _runs(process)]
    return alive


def _runs(process: psutil.Process) -> bool:
    import psutil

    try:
        return process.is_running() and process.status() != psutil.STATUS_ZOMBIE
    except psutil.Error:
        return False


def _ignore_interrupts() -> None:
    import signal

    for name in ("SIGINT", "SIGTERM", "SIGHUP", "SIGBREAK"):
        number = getattr(signal, name, None)
        if number is not None:
            signal.signal(number, signal.SIG_IGN)


def main(arguments: list[str]) -> None:
    """Wait until the pipe on standard input closes, then tidy up the directory."""
    _ignore_interrupts()
    directory = Path(arguments[0])
    sys.stdin.buffer.read()
    if not directory.exists():
        return
    end_processes(directory)
    if "--keep" not in arguments:
        with contextlib.suppress(OSError):
            remove_tree(directory)


if __name__ == "__main__":
    main(sys.argv[1:])
