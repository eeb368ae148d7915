"""What ends the program from outside: a polite kill, and a terminal window that was closed."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
import threading
from collections.abc import Callable

GRACE_SECONDS = 10.0
"""How long the run may take to put itself down. The journal is safe at any instant, and a rehearsal's watchdog
removes what is left."""

_ENDED_BY_HANG_UP = 129


def on_end_signals(act: Callable[[], None]) -> None:
    """Call ``act`` on the running loop when the process is asked to end, where signals can be had.

    Windows has neither signal for a console program; closing the window ends the process there.
    """
    if sys.platform == "win32" or threading.current_thread() is not threading.main_thread():
        return
    loop = asyncio.get_running_loop()

    def hung_up() -> None:
        """Act, and end the process should that not come to its end."""
        # Painting to a terminal that is gone can block for ever, and nobody is there to notice.
        limit = threading.Timer(GRACE_SECONDS, os._exit, [_ENDED_BY_HANG_UP])
        limit.daemon = True
        limit.start()
        act()

    loop.add_signal_handler(signal.SIGTERM, act)
    loop.add_signal_handler(signal.SIGHUP, hung_up)
