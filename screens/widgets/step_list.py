"""The hub's list: a row for every phase and, under it, for each of its steps."""

from __future__ import annotations

from typing import ClassVar

from textual.binding import Binding, BindingType
from textual.content import Content
from textual.events import Resize
from textual.widgets import OptionList
from textual.widgets.option_list import Option

from screens import marks
from screens.desk import Desk
from screens.marks import WORD_CELLS
from screens.wording import clock, fitted, lasted, one_line
from tekup_migrate.plan import Phase
from tekup_migrate.runner import StepStatus

_EDGE_CELLS = 5
_TIME_CELLS = 13
_DANGER_CELLS = 12
_UNDO_CELLS = 18
_WIDE = 100


class StepList(OptionList, inherit_bindings=False):
    """All phases and steps; Enter is left to the screen, because there it starts the run."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("up,k", "cursor_up", "Up", show=False),
        Binding("down,j", "cursor_down", "Down", show=False),
        Binding("home", "first", "First", show=False),
        Binding("end", "last", "Last", show=False),
        Binding("pageup", "page_up", "Page up", show=False),
        Binding("pagedown", "page_down", "Page down", show=False),
    ]
    DEFAULT_CSS = """
    StepList {
        height: 1fr; border: round $panel-lighten-3; padding: 0 1; background: $background; scrollbar-size-vertical: 1;
    }
    StepList:focus { border: round $primary; background-tint: $background 0%; }
    """

    def __init__(self, desk: Desk) -> None:
        super().__init__(markup=False)
        self.border_title = "Phases and steps"
        self._desk = desk
        self._rows: dict[str, Content] = {}

    @property
    def marked(self) -> str:
        """The id of the marked step, or an empty text when a phase is marked."""
        return self._marked_id.partition("/")[2]

    @property
    def marked_phase(self) -> str:
        """The id of the phase that is marked, or whose step is."""
        return self._marked_id.partition("/")[0]

    @property
    def _marked_id(self) -> str:
        if self.highlighted is None:
            return ""
        return self.get_option_at_index(self.highlighted).id or ""

    def paint(self) -> None:
        """Show the board's statuses; only rows that changed are touched."""
        rows = self._wanted()
        if list(rows) != list(self._rows):
            self.clear_options()
            self.add_options([Option(row, id=name) for name, row in rows.items()])
            self._mark_next()
        else:
            for name, row in rows.items():
                if row != self._rows[name]:
                    self.replace_option_prompt(name, row)
        self._rows = rows

    def on_resize(self, event: Resize) -> None:
        """Lay the columns out anew."""
        self.call_after_refresh(self.paint)

    def _mark_next(self) -> None:
        left = self._desk.board.left()
        if left:
            self.highlighted = self.get_option_index(f"{left[0].phase}/{left[0].id}")

    def _wanted(self) -> dict[str, Content]:
        cells = max(60, self.scrollable_content_region.width)
        rows: dict[str, Content] = {}
        for number, phase in enumerate(self._desk.plan.phases, 1):
            rows[f"{phase.id}/"] = self._phase_row(number, phase, cells)
            for status in self._desk.board.steps_of(phase.id):
                rows[f"{phase.id}/{status.id}"] = _step_row(status, cells)
        return rows

    def _phase_row(self, number: int, phase: Phase, cells: int) -> Content:
        mark = marks.of_phase(self._desk.board.steps_of(phase.id))
        low, high = phase.hours
        spent = clock(self._desk.board.seconds_of(phase.id))
        hours = f"{spent} of {low:g} h" if low == high else f"{spent} of {low:g}–{high:g} h"
        room = cells - 2 - WORD_CELLS - len(hours) - 1
        return Content.assemble(
            (f"{mark.glyph} {mark.word:{WORD_CELLS}}", mark.style),
            (fitted(f"{number} {one_line(phase.title)}", room), "bold"),
            (f" {hours}", "dim"),
        )


def _step_row(status: StepStatus, cells: int) -> Content:
    mark = marks.of_step(status)
    wide = cells >= _WIDE
    room = cells - _EDGE_CELLS - WORD_CELLS - _DANGER_CELLS - _TIME_CELLS - (_UNDO_CELLS if wide else 0) + 1
    seconds = lasted(status.seconds) if status.seconds else ""
    return Content.assemble(
        (f"  {mark.glyph} {mark.word:{WORD_CELLS}}", mark.style),
        fitted(one_line(status.title), room - 1) + " ",
        (f"{status.danger:{_DANGER_CELLS}}", marks.DANGERS[status.danger]),
        (f"{marks.UNDOS[status.undo]:{_UNDO_CELLS}}" if wide else "", "dim"),
        (f"{seconds:>{_TIME_CELLS - 1}}", "dim"),
    )
