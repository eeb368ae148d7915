"""The running counts of the present step: bar, percentage, counts, rate and time left."""

from __future__ import annotations

import time

from textual.content import Content
from textual.widgets import Static

from screens.board import Board, Track
from screens.wording import amount, bar, fitted, lasted, one_line

_LABEL_CELLS = 22
_BAR_CELLS = 28
_RATE_AFTER = 5.0
_MOST = 8


class ProgressLines(Static):
    """One or two lines per running count; nothing where nothing is counted."""

    DEFAULT_CSS = """
    ProgressLines { height: auto; }
    """

    def __init__(self, board: Board, *, id: str | None = None) -> None:
        super().__init__(id=id)
        self._board = board

    def paint(self) -> None:
        """Show the board's running counts, the newest ones where there are many."""
        now = time.monotonic()
        tracks = [track for label, track in self._board.progress.items() if label not in self._board.tables]
        lines = [line for track in tracks[-_MOST:] for line in _lines(track, now)]
        self.update(Content("\n").join(lines))
        self.display = bool(lines)


def _lines(track: Track, now: float) -> list[Content]:
    progress = track.progress
    label = fitted(one_line(progress.label), _LABEL_CELLS)
    if not progress.total:
        return [Content.assemble((label, "bold"), "  ", amount(progress.done, progress.unit), " so far")]
    share = progress.done / progress.total
    counts = f"{amount(progress.done, progress.unit)} / {amount(progress.total, progress.unit)}"
    line = Content.assemble(
        (label, "bold"), "  ", (bar(share, _BAR_CELLS), "$text-primary"), f" {share * 100:3.0f} %  ", counts
    )
    if now - track.started < _RATE_AFTER or progress.done >= progress.total or not track.meter.rate:
        return [line]
    left = track.meter.left(progress.total)
    speed = f"{amount(track.meter.rate, progress.unit)} a second"
    return [line, Content.styled(f"{'':{_LABEL_CELLS}}  {speed} · about {lasted(left or 0)} left", "$text-muted")]
