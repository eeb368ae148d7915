"""The running counts of the present step: bar, percentage, counts, rate and time left."""

from __future__ import annotations

import time

from textual.content import Content
from textual.widgets import Static

from screens.board import Board, Track
from screens.wording import amount, bar, count, fitted, lasted, one_line

_LABEL_CELLS = 22
_MOST_BAR_CELLS = 28
_LEAST_BAR_CELLS = 8
_RATE_AFTER = 5.0
_MOST = 8


class ProgressLines(Static):
    """One or two lines per running count; nothing where nothing is counted."""

    DEFAULT_CSS = """
    ProgressLines { height: auto; text-wrap: nowrap; text-overflow: ellipsis; }
    """

    def __init__(self, board: Board, *, id: str | None = None) -> None:
        super().__init__(id=id)
        self._board = board

    def paint(self) -> None:
        """Show the board's running counts, the newest ones where there are many."""
        now = time.monotonic()
        shown = self._board.tables if self._board.tables_of == self._board.current else {}
        tracks = [track for label, track in self._board.progress.items() if label not in shown]
        lines = [line for track in tracks[-_MOST:] for line in _lines(track, now, max(40, self.size.width))]
        self.update(Content("\n").join(lines))
        self.display = bool(lines)


def measured(label: str, share: float, counts: str, cells: int) -> Content:
    """Return a label, a bar filled to ``share`` (0 to 1), the percentage and the counts, in ``cells`` columns."""
    room = cells - _LABEL_CELLS - len(" 100 %  ") - 2 - len(counts)
    painted = bar(share, max(_LEAST_BAR_CELLS, min(_MOST_BAR_CELLS, room)))
    return Content.assemble(
        (fitted(label, _LABEL_CELLS), "bold"),
        "  ",
        (painted, "$text-success" if share >= 1 else "$text-primary"),
        f" {int(share * 100):3} %  {counts}",
    )


def _lines(track: Track, now: float, cells: int) -> list[Content]:
    progress = track.progress
    label = one_line(progress.label)
    if not progress.total:
        so_far = f"  {amount(progress.done, progress.unit)} so far"
        return [Content.assemble((fitted(label, _LABEL_CELLS), "bold"), so_far)]
    share = progress.done / progress.total
    of_all = amount(progress.total, progress.unit)
    done = amount(progress.done, progress.unit) if progress.unit == "bytes" else count(progress.done)
    line = measured(label, share, f"{done} / {of_all}", cells)
    if now - track.started < _RATE_AFTER or progress.done >= progress.total or not track.meter.rate:
        return [line]
    left = track.meter.left(progress.total)
    speed = f"{amount(track.meter.rate, progress.unit)} a second"
    return [line, Content.styled(f"{'':{_LABEL_CELLS}}  {speed} · about {lasted(left or 0)} left", "dim")]
