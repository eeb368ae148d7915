"""The top of every screen: what this is, which session, the clock, and whether it is a rehearsal."""

from __future__ import annotations

from textual.app import ComposeResult
from textual.containers import Horizontal, Vertical
from textual.content import Content
from textual.widgets import Static

from screens import marks
from screens.conductor import Stance
from screens.desk import Desk
from screens.wording import clock, one_line


class HeaderLine(Vertical):
    """One line at 120 columns; a second one at 80, with what the rail would show."""

    DEFAULT_CSS = """
    HeaderLine { height: auto; background: $panel; }
    HeaderLine Horizontal { height: 1; padding: 0 1; }
    HeaderLine #title { width: 1fr; text-wrap: nowrap; text-overflow: ellipsis; }
    HeaderLine #clock, HeaderLine #world { width: auto; padding-left: 2; }
    HeaderLine #fold { display: none; height: 1; padding: 0 1; text-wrap: nowrap; text-overflow: ellipsis; }
    """

    def __init__(self, desk: Desk) -> None:
        super().__init__()
        self._desk = desk

    def compose(self) -> ComposeResult:
        """Lay out the title, the clock and the mark of the world that is worked on."""
        with Horizontal():
            yield Static(id="title")
            yield Static(id="clock")
            yield Static(id="world")
        yield Static(id="fold")

    def paint(self) -> None:
        """Show the present state of the board."""
        plan = self._desk.plan
        title = Content.assemble(("tekup-migrate", "bold $text-primary"), "   ", one_line(plan.title))
        self.query_one("#title", Static).update(title)
        self.query_one("#clock", Static).update(self._clock())
        world = ("● REHEARSAL", "bold $text-warning") if self._desk.rehearsal else ("● LIVE", "bold $text-error")
        self.query_one("#world", Static).update(Content.styled(*world))
        self.query_one("#fold", Static).update(self._fold())

    def _clock(self) -> Content:
        board, plan = self._desk.board, self._desk.plan
        if self._desk.conductor.stance is Stance.OPENING:
            # Which sitting this is, only the journal knows.
            return Content("")
        number, sitting = plan.sitting_of(board.phase.id)
        used = sum(board.seconds_of(phase) for phase in sitting.phases)
        style = "$text-warning" if used > sitting.hours * 3600 else "$foreground"
        spent = f"{clock(used)} of {clock(sitting.hours * 3600)}"
        return Content.styled(f"Session {number} of {len(plan.sittings)} · {spent}", style)

    def _fold(self) -> Content:
        board, plan = self._desk.board, self._desk.plan
        if self._desk.conductor.stance is Stance.OPENING:
            return Content.styled("opening the run", "dim")
        phase = board.phase
        place = [part.id for part in plan.phases].index(phase.id) + 1
        text = f"{place}/{len(plan.phases)} {one_line(phase.title)}"
        status = board.status
        if status is None:
            return Content.assemble(text, "  ", marks.of_phase(board.steps_of(phase.id)).content)
        steps = [step.id for step in board.steps_of(phase.id)]
        step = f" · {steps.index(status.id) + 1}/{len(steps)} {one_line(status.title)}" if status.id in steps else ""
        return Content.assemble(marks.of_step(status).content, "  ", text, step)
