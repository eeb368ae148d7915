"""What runs: statements, commands and output as they happen, written in batches and wrapped to the panel."""

from __future__ import annotations

from rich.cells import cell_len, chop_cells
from textual.events import Resize
from textual.widgets import Log

from screens.board import Board

_KEPT = 2_000


class LogPanel(Log):
    """The newest lines of the board's log; follows the end unless it is scrolled away from it."""

    DEFAULT_CSS = """
    LogPanel {
        border: round $panel-lighten-3; padding: 0 1; background: $background; scrollbar-size: 1 1;
        overflow-x: hidden; color: $foreground;
    }
    LogPanel:focus { border: round $primary; background-tint: $background 0%; }
    """

    def __init__(self, board: Board, *, kept: int = _KEPT, id: str | None = None) -> None:
        super().__init__(highlight=False, max_lines=kept, id=id)
        self.border_title = "What runs"
        self._board = board
        self._kept = kept
        self._seen = 0
        self._wrapped_to = 0

    def paint(self) -> None:
        """Write the lines that came since the last time."""
        if not self.size.width or self._seen == self._board.total_lines:
            return
        fresh = self._board.lines_after(self._seen)[-self._kept :]
        self._seen = self._board.total_lines
        self._wrapped_to = self.scrollable_content_region.width
        lines = [part for line in fresh for part in _wrapped(line, self._wrapped_to)]
        self.write_lines(lines, scroll_end=self.is_vertical_scroll_end)

    def on_resize(self, event: Resize) -> None:
        """Wrap everything anew when the width changed."""
        if self.scrollable_content_region.width != self._wrapped_to:
            self.clear()
            self._seen = 0
            self.paint()


def _wrapped(line: str, cells: int) -> list[str]:
    if cells <= 8 or cell_len(line) <= cells:
        return [line]
    first, *rest = chop_cells(line, cells)
    return [first, *("     " + part for part in chop_cells("".join(rest), cells - 5))]
