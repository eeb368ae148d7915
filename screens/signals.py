"""Ends the sitting in order when the system asks this process to end, so that nothing it started is left behind."""

from __future__ import annotations

import asyncio
import signal
import sys
from collections.abc import Callable


def on_end_signals(act: Callable[[], None]) -> None:
    """Call ``act`` on the running event loop when the process is told to end or its terminal goes away.

    Windows has neither signal for a console program; closing the window ends the process there.
    """
    if sys.platform == "win32":
        return
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGHUP):
        loop.add_signal_handler(number, act)
