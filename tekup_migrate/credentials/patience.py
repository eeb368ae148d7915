"""Calling a library that may never come back: one call at a time, in a thread, with a limit."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable
from concurrent.futures import Future
from types import TracebackType
from typing import Generic, TypeVar

T = TypeVar("T")


class GaveUpError(Exception):
    """A call did not come back in time; whoever asked knows what that means to the operator."""


class Patience:
    """Runs blocking calls one after the other, each in a daemon thread, and gives up on one that hangs.

    A hung thread cannot be ended. It is left behind, does not keep the program from exiting, and as long as
    it hangs every further call is refused at once.
    """

    def __init__(self, limit: float) -> None:
        self.limit = limit
        self._turn = asyncio.Lock()
        self._running: Future[object] | None = None
        self._gave_up = False

    async def call(self, work: Callable[[], T], name: str) -> T:
        """Return what ``work`` returns, or raise what it raises.

        Raises:
            GaveUpError: it, or the call before it, did not come back within ``limit`` seconds.
        """
        async with self._turn:
            await self._wait_for_the_last()
            future: Future[T] = Future()
            future.set_running_or_notify_cancel()
            self._running = future  # type: ignore[assignment]  # only ever asked whether it is done
            threading.Thread(target=_deliver, args=(work, future), name=name, daemon=True).start()
            waiting = asyncio.wrap_future(future)
            done, _ = await asyncio.wait({waiting}, timeout=self.limit)
            if not done:
                self._gave_up = True
                raise GaveUpError(f"It did not answer within {self.limit:g} seconds.")
            return waiting.result()

    async def _wait_for_the_last(self) -> None:
        """Let a call finish whose caller was cancelled; refuse at once while one hangs."""
        deadline = asyncio.get_running_loop().time() + (0 if self._gave_up else self.limit)
        while self._running is not None and not self._running.done():
            if asyncio.get_running_loop().time() >= deadline:
                raise GaveUpError("An earlier call is still waiting for an answer.")
            await asyncio.sleep(0.01)
        self._gave_up = False


def _deliver(work: Callable[[], T], future: Future[T]) -> None:
    with _Delivery(future):
        future.set_result(work())


class _Delivery(Generic[T]):
    """Hands whatever is raised inside to the future: it belongs to the caller, not to the thread."""

    def __init__(self, future: Future[T]) -> None:
        self._future = future

    def __enter__(self) -> None:
        return None

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> bool:
        if error is not None:
            self._future.set_exception(error)
        return True
