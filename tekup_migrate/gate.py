"""Where a running step asks whether it should pause."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable
from typing import TypeVar

from tekup_migrate.errors import PauseRequested

T = TypeVar("T")


class Gate:
    """Where a running step asks whether it should pause.

    Raising ``PauseRequested`` leaves the step intended and not verified; applying it again goes on from
    what the world then holds.
    """

    def __init__(self) -> None:
        self._requested = asyncio.Event()

    @property
    def pausing(self) -> bool:
        """Whether a pause has been asked for."""
        return self._requested.is_set()

    def request(self) -> None:
        """Ask the running step to stop at its next edge."""
        self._requested.set()

    def open(self) -> None:
        """Let steps run again."""
        self._requested.clear()

    def check(self) -> None:
        """Raise ``PauseRequested`` when a pause was asked for; called at chunk and step edges."""
        if self.pausing:
            raise PauseRequested

    async def guard(self, work: Awaitable[T]) -> T:
        """Await ``work``, cancelling it when a pause is asked for: for work without edges of its own."""
        task = asyncio.ensure_future(work)
        asked = asyncio.ensure_future(self._requested.wait())
        try:
            await asyncio.wait({task, asked}, return_when=asyncio.FIRST_COMPLETED)
            if not task.done():
                raise PauseRequested
            return task.result()
        finally:
            asked.cancel()
            if not task.done():
                task.cancel()
            await asyncio.gather(task, asked, return_exceptions=True)
