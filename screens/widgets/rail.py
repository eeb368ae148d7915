"""The rail: every phase, and the steps of the one on screen, with glyph, word and colour."""

from __future__ import annotations

from textual.app import ComposeResult
from textual.containers import VerticalScroll
from textual.content import Content
from textual.widgets import Static

from screens import marks
from screens.desk import Desk
from screens.marks import WORD_CELLS, Mark
from screens.wording import clock, fitted, one_line

_FRAME_CELLS = 4
_CLOCK_CELLS = 6
_MINUTE = 60.0


class Rail(VerticalScroll, can_focus=False):
    """Two lists: the plan's phases, and one phase's steps; the present one is bold."""

    DEFAULT_CSS = """
    Rail { width: 42; height: 1fr; border: round $panel-lighten-3; padding: 0 1; scrollbar-size-vertical: 1; }
    Rail .heading { color: $text-muted; margin-top: 1; }
    """

    def __init__(self, desk: Desk) -> None:
        super().__init__()
        self.border_title = "Phases"
        self._desk = desk

    def compose(self) -> ComposeResult:
        """Lay out both lists."""
        yield Static(id="phases")
        yield Static("Steps", classes="heading")
        yield Static(id="steps")

    def paint(self, phase_id: str) -> None:
        """Show the board's phases, and the steps of ``phase_id``."""
        board = self._desk.board
        cells = max(20, self.size.width - _FRAME_CELLS + 2)
        lines = []
        for number, phase in enumerate(self._desk.plan.phases, 1):
            seconds = board.seconds_of(phase.id)
            spent = clock(seconds) if seconds >= _MINUTE else ""
            mark = marks.of_phase(board.steps_of(phase.id))
            lines.append(_line(mark, f"{number} {one_line(phase.title)}", cells, phase.id == phase_id, spent))
        self.query_one("#phases", Static).update(Content("\n").join(lines))
        steps = [
            _line(marks.of_step(status), one_line(status.title), cells, status.id == board.current)
            for status in board.steps_of(phase_id)
        ]
        self.query_one("#steps", Static).update(Content("\n").join(steps))
        self._keep_current_in_sight(phase_id)

    def _keep_current_in_sight(self, phase_id: str) -> None:
        steps = [status.id for status in self._desk.board.steps_of(phase_id)]
        if self._desk.board.current in steps:
            line = len(self._desk.plan.phases) + 2 + steps.index(self._desk.board.current)
            if not 0 <= line - self.scroll_offset.y < self.size.height:
                self.scroll_to(y=max(0, line - self.size.height // 2), animate=False)


def _line(mark: Mark, title: str, cells: int, present: bool, spent: str = "") -> Content:
    room = cells - 2 - WORD_CELLS - (_CLOCK_CELLS if spent else 0)
    return Content.assemble(
        (f"{mark.glyph} ", mark.style),
        (fitted(title, room - 1) + " ", "bold" if present else ""),
        (f"{spent:>{_CLOCK_CELLS - 1}} " if spent else "", "dim"),
        (mark.word, mark.style),
    )
