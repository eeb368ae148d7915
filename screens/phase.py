"""What the screens of all kinds of phase have in common: the live step, what runs, and the evidence."""

from __future__ import annotations

from textual.app import ComposeResult
from textual.containers import VerticalScroll
from textual.content import Content
from textual.widgets import Static

from screens import marks
from screens.commands import CRITERIA, EVIDENCE, HELP, HUB, LOG, PAUSE, QUIT, ROLL_BACK, START
from screens.conductor import Stance
from screens.desk import Desk
from screens.framed import FramedScreen
from screens.standing import standing
from screens.widgets.evidence_panel import EvidencePanel
from screens.widgets.log_panel import LogPanel
from screens.widgets.progress_lines import ProgressLines
from screens.wording import lasted, one_line, plain
from tekup_migrate.events import StepState
from tekup_migrate.plan import Phase
from tekup_migrate.runner import StepStatus

_LINES_IN_PANEL = 500


class PhaseScreen(FramedScreen):
    """One phase; each kind of phase says what it is about in ``subject``."""

    CSS_PATH = "phase.tcss"
    COMMANDS_SHOWN = (START, PAUSE, EVIDENCE, LOG, ROLL_BACK, HUB, HELP, QUIT)
    COMMANDS_HELPED = (CRITERIA,)
    AUTO_FOCUS = "LogPanel"

    def __init__(self, desk: Desk, phase: Phase) -> None:
        super().__init__(desk)
        self.phase = phase

    @property
    def phase_id(self) -> str:
        """The phase whose steps the rail shows."""
        return self.phase.id

    def compose_centre(self) -> ComposeResult:
        """Lay out the three panels."""
        with VerticalScroll(id="live", can_focus=False):
            yield Static(self.subject(), id="subject")
            yield Static(id="now")
            yield ProgressLines(self.desk.board)
            yield from self.compose_live()
        yield LogPanel(self.desk.board, kept=_LINES_IN_PANEL)
        yield EvidencePanel(self.desk.board)

    def compose_live(self) -> ComposeResult:
        """Lay out what only this kind of phase shows of its running step."""
        yield from ()

    def subject(self) -> Content:
        """Return a line or two on what this phase works with."""
        return Content("")

    def paint_centre(self) -> None:
        """Show the live step, what runs, and the evidence."""
        self.query_one("#live", VerticalScroll).border_title = Content(self._heading())
        self.query_one("#now", Static).update(self._now())
        mine = self._is_present
        progress = self.query_one(ProgressLines)
        progress.paint()
        progress.display = progress.display and mine
        self.query_one(LogPanel).paint()
        self.query_one(EvidencePanel).paint(self.phase.id)

    @property
    def _is_present(self) -> bool:
        status = self.desk.board.status
        return status is not None and status.phase == self.phase.id

    def _heading(self) -> str:
        place = [phase.id for phase in self.desk.plan.phases].index(self.phase.id) + 1
        heading = f"{place} {one_line(self.phase.title)}"
        status = self.desk.board.status
        if status is None or not self._is_present:
            return heading
        steps = [step.id for step in self.desk.board.steps_of(self.phase.id)]
        return f"{heading} · step {steps.index(status.id) + 1} of {len(steps)} · {one_line(status.title)}"

    def _now(self) -> Content:
        status = self.desk.board.status
        if status is None or not self._is_present:
            mark = marks.of_phase(self.desk.board.steps_of(self.phase.id))
            where = f"  The run is at “{one_line(status.title)}”." if status is not None else "  Enter starts the run."
            return Content.assemble(mark.content, (where, "dim"), "\n")
        if self.desk.board.error is not None:
            return self._failure()
        if self.desk.conductor.stance is Stance.RESTING:
            return self._at_rest(status)
        return self._in_motion(status)

    def _in_motion(self, status: StepStatus) -> Content:
        seconds = self.desk.board.live_seconds
        working = status.state is not StepState.CONFIRMING and seconds >= 1
        spent = f"  {lasted(seconds)}" if working else ""
        step = self.desk.step(status.id)
        why = f"\n{one_line(step.why)}" if step is not None and step.why else ""
        pausing = self.desk.conductor.stance is Stance.PAUSING
        notice = "\nPausing at the next edge; Ctrl-C stops at once." if pausing else ""
        return Content.assemble(
            marks.of_step(status).content,
            (f"  {one_line(status.title)}", "bold"),
            (spent, "dim"),
            (why, "dim"),
            (notice, "bold $text-warning"),
            "\n",
        )

    def _at_rest(self, status: StepStatus) -> Content:
        lines = "\n".join(standing(self.desk.board))
        hint = "" if status.state is StepState.DONE and not self.desk.board.left() else "\nEnter resumes."
        return Content.assemble(
            marks.of_step(status).content, (f"  {one_line(status.title)}", "bold"), f"\n{lines}", (hint, "bold"), "\n"
        )

    def _failure(self) -> Content:
        error = self.desk.board.error
        if error is None:
            return Content("")
        return Content.assemble(
            (f"✗ {one_line(error.title)}\n", "bold $text-error"),
            ("Happened     ", "dim"),
            plain(error.happened),
            ("\nNot changed  ", "dim"),
            plain(error.unchanged),
            ("\nWhat to do   ", "dim"),
            plain(error.remedy),
            ("\nEnter tries again.\n", "bold"),
        )
