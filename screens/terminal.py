"""What the terminal around the app shows: the window's title, the bell, and progress in the taskbar."""

from __future__ import annotations

from collections.abc import Callable

from screens import marks
from screens.board import Board
from screens.wording import one_line
from tekup_migrate.events import StepState

_PUSH_TITLE = "\x1b[22;0t"
_POP_TITLE = "\x1b[23;0t"
_NO_PROGRESS = "\x1b]9;4;0;0\x07"
_MOST_TITLE = 80


class TerminalSigns:
    """Writes signs to a terminal; OSC 9;4 is ConEmu's and Windows Terminal's, and is ignored elsewhere."""

    def __init__(self, write: Callable[[str], None]) -> None:
        self._write = write
        self._title = ""
        self._progress = _NO_PROGRESS

    def begin(self) -> None:
        """Keep the window's title for later."""
        self._write(_PUSH_TITLE)

    def end(self) -> None:
        """Give the window's title back and clear the taskbar."""
        self._write(_NO_PROGRESS + _POP_TITLE)

    def show(self, board: Board, *, asking: bool) -> None:
        """Show how far the run is, and whether it waits for the operator."""
        total = len(board.steps)
        done = total - len(board.left())
        status = board.status
        running = status is not None and marks.is_live(status.state)
        failed = status is not None and status.state is StepState.FAILED
        state = "needs you" if asking else "failed" if failed else f"{done}/{total}" if total else "getting ready"
        title = f" · {status.title}" if status is not None and (running or asking or failed) else ""
        self._set_title(f"tekup-migrate: {state}{title}")
        if running or asking or failed:
            self._set_progress(done / total if total else 0.0, waiting=asking, failed=failed)
        else:
            self._write_once(_NO_PROGRESS)

    def _set_title(self, text: str) -> None:
        shown = one_line(text)[:_MOST_TITLE]
        if shown != self._title:
            self._title = shown
            self._write(f"\x1b]2;{shown}\x07")

    def _set_progress(self, fraction: float, *, waiting: bool, failed: bool) -> None:
        state = 2 if failed else 4 if waiting else 1
        self._write_once(f"\x1b]9;4;{state};{round(fraction * 100)}\x07")

    def _write_once(self, sign: str) -> None:
        if sign != self._progress:
            self._progress = sign
            self._write(sign)
