"""A child process with everything it started, ended as one.

A launcher (``pnpm dev``) starts programs that start programs, and may exit before them. On POSIX every
child is put at the head of a session of its own, so that its descendants are found by session even when
their parent is gone; on Windows, and for descendants that left the session, they are found by parent.
"""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from typing import TYPE_CHECKING, TypedDict

if TYPE_CHECKING:
    import psutil

_POLL_SECONDS = 0.03
_KILL_SECONDS = 5.0


class SpawnOptions(TypedDict, total=False):
    """The options of ``subprocess.Popen`` that put a child at the head of a tree of its own."""

    start_new_session: bool
    creationflags: int


def spawn_options() -> SpawnOptions:
    """Return what to pass when starting a child whose whole tree must be ended later."""
    if sys.platform == "win32":
        return {"creationflags": subprocess.CREATE_NEW_PROCESS_GROUP}
    return {"start_new_session": True}


class ProcessTree:
    """The tree below one child that was started with ``spawn_options``.

    Processes are known by pid and start time together, so a pid that was given to a stranger is never
    signalled.
    """

    def __init__(self, pid: int, *, started: float | None = None) -> None:
        """Take hold of a child that runs, or, by when it ``started``, of what an earlier process of ours began."""
        self.pid = pid
        self.started = _start_time(pid) if started is None else started
        self._known: dict[int, float] = {pid: self.started}

    def living(self) -> list[psutil.Process]:
        """Return the members that still run; remembers them, so call it now and then while the tree grows."""
        import psutil

        seen: dict[int, tuple[psutil.Process, int, float]] = {}
        for process in psutil.process_iter():
            try:
                with process.oneshot():
                    if process.status() != psutil.STATUS_ZOMBIE:
                        seen[process.pid] = (process, process.ppid(), process.create_time())
            except (psutil.NoSuchProcess, psutil.AccessDenied):
                continue
        for pid in self._session_members({pid: started for pid, (_, _, started) in seen.items()}):
            self._known.setdefault(pid, seen[pid][2])
        while grown := self._children_of_known({pid: (ppid, at) for pid, (_, ppid, at) in seen.items()}):
            self._known.update(grown)
        return [process for process, _, at in seen.values() if self._known.get(process.pid) == at]

    def _children_of_known(self, seen: dict[int, tuple[int, float]]) -> dict[int, float]:
        return {
            pid: started
            for pid, (parent, started) in seen.items()
            if self._known.get(pid) != started and parent in self._known and started >= self._known[parent]
        }

    def _session_members(self, seen: dict[int, float]) -> Iterator[int]:
        if sys.platform == "win32":
            return
        # A pid is not given away while a session of that number lives: a stranger there means ours is gone.
        if self.pid in seen and seen[self.pid] != self._known[self.pid]:
            return
        for pid in seen:
            try:
                if os.getsid(pid) == self.pid:
                    yield pid
            except (ProcessLookupError, PermissionError):
                continue

    async def end(self, *, grace: float = 5.0) -> None:
        """Ask every member to end, and after ``grace`` seconds make it; returns when none is left.

        A cancellation that arrives meanwhile is kept until the tree has ended.
        """
        ending = asyncio.ensure_future(asyncio.to_thread(self._end, grace))
        cancelled: asyncio.CancelledError | None = None
        while not ending.done():
            try:
                await asyncio.shield(ending)
            except asyncio.CancelledError as error:
                cancelled = error
        ending.result()
        if cancelled is not None:
            raise cancelled

    def _end(self, grace: float) -> None:
        members = self.living()
        self._ask(members)
        until = time.monotonic() + grace
        while (members := self.living()) and time.monotonic() < until:
            time.sleep(_POLL_SECONDS)
        until = time.monotonic() + _KILL_SECONDS
        while members and time.monotonic() < until:
            _signal_each(members, hard=True)
            time.sleep(_POLL_SECONDS)
            members = self.living()

    def _ask(self, members: list[psutil.Process]) -> None:
        if sys.platform == "win32" and any(process.pid == self.pid for process in members):
            os.kill(self.pid, signal.CTRL_BREAK_EVENT)
            return
        _signal_each(members, hard=False)


async def end_leftover(pid: int, started: float) -> None:
    """End what is left of a tree that an earlier process of ours started and, being killed, could not end.

    Args:
        pid: the child that headed the tree, started with ``spawn_options``.
        started: when it started, in seconds since the epoch, as ``ProcessTree.started`` says it.
    """
    import psutil

    # Nothing outlives the system's own start, and numbers are given anew after it.
    if psutil.boot_time() <= started:
        await ProcessTree(pid, started=started).end()


def _start_time(pid: int) -> float:
    import psutil

    try:
        return psutil.Process(pid).create_time()
    except psutil.NoSuchProcess:
        return time.time()


def _signal_each(members: list[psutil.Process], *, hard: bool) -> None:
    import psutil

    for process in members:
        try:
            if hard:
                process.kill()
            else:
                process.terminate()
        except (psutil.NoSuchProcess, psutil.AccessDenied):
            continue
