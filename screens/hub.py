"""The hub: every phase and step with its status, what comes next, and the offer to start or resume."""

from __future__ import annotations

import time

from textual import on
from textual.app import ComposeResult
from textual.containers import Vertical, VerticalScroll
from textual.content import Content
from textual.widgets import OptionList, Static

from screens import marks
from screens.commands import CRITERIA, EVIDENCE, HELP, LOG, PAUSE, PHASE, QUIT, ROLL_BACK, START
from screens.conductor import Stance
from screens.desk import Desk
from screens.framed import FramedScreen
from screens.widgets.step_list import StepList
from screens.wording import clock, counted, one_line
from tekup_migrate.runner import StepStatus


class HubScreen(FramedScreen):
    """Where the operator starts, comes back to, and sees everything at once."""

    CSS_PATH = "hub.tcss"
    COMMANDS_SHOWN = (START, PAUSE, PHASE, EVIDENCE, LOG, ROLL_BACK, HELP, QUIT)
    COMMANDS_HELPED = (CRITERIA,)
    HAS_RAIL = False
    AUTO_FOCUS = "StepList"

    def __init__(self, desk: Desk) -> None:
        super().__init__(desk)
        self.advice = ""

    def compose_centre(self) -> ComposeResult:
        """Lay out the offer, the list and what is known of the marked step."""
        with Vertical(id="offer") as offer:
            offer.border_title = "Next"
            yield Static(id="offer-text")
        yield StepList(self.desk)
        with VerticalScroll(id="detail", can_focus=False) as detail:
            detail.border_title = "Marked"
            yield Static(id="detail-text")

    def paint_centre(self) -> None:
        """Show the statuses, the offer, and the marked step."""
        self.query_one("#offer-text", Static).update(self._offer())
        self.query_one(StepList).paint()
        self._show_marked()

    @property
    def marked_phase(self) -> str:
        """The phase that is marked in the list, or whose step is."""
        return self.query_one(StepList).marked_phase

    @on(OptionList.OptionHighlighted)
    def _show_marked(self) -> None:
        step_list = self.query_one(StepList)
        status = self.desk.board.steps.get(step_list.marked)
        detail = self._step_detail(status) if status is not None else self._phase_detail(step_list.marked_phase)
        self.query_one("#detail-text", Static).update(detail)

    def _offer(self) -> Content:
        stance = self.desk.conductor.stance
        left = self.desk.board.left()
        if stance in (Stance.RUNNING, Stance.PAUSING):
            status = self.desk.board.status
            title = one_line(status.title) if status is not None else "the run"
            return Content.assemble((f"Running: {title}. ", "bold $text-primary"), "p pauses; o shows its screen.")
        if not left:
            return Content.assemble(("Every step is done. ", "bold $text-success"), "c shows the success criteria.")
        if self.advice:
            return Content.assemble((self.advice, "bold"), f"\nEnter goes on, {self._quitting}.")
        return self._first_offer(left[0])

    def _first_offer(self, following: StepStatus) -> Content:
        board, sitting = self.desk.board, self.desk.conductor.sitting
        done = len(board.steps) - len(board.left())
        step = f"“{one_line(following.title)}”"
        if sitting is not None and sitting.resumed and not board.current:
            began = time.strftime("%d %b %Y %H:%M", time.localtime(sitting.run.started))
            return Content.assemble(
                ("There is an unfinished run. ", "bold $text-warning"),
                f"It began on {began}; {done} of {len(board.steps)} steps are done.\n",
                ("Enter resumes it", "bold"),
                f" at {step}: the world is looked at first, and careful steps ask. q leaves it as it is.",
            )
        if not done:
            return Content.assemble(
                f"{counted(len(board.steps), 'step')} in {counted(len(self.desk.plan.phases), 'phase')}."
                " Nothing was changed yet.\n",
                ("Enter starts", "bold"),
                f" with {step}. Steps that change something show exactly what, and ask first.",
            )
        return Content.assemble(
            f"{done} of {len(board.steps)} steps are done, and nothing is running.\n",
            ("Enter resumes", "bold"),
            f" at {step}; {self._quitting}.",
        )

    @property
    def _quitting(self) -> str:
        return "q ends the rehearsal: it cannot be resumed" if self.desk.rehearsal else "q saves and quits"

    def _phase_detail(self, phase_id: str) -> Content:
        phase = next((phase for phase in self.desk.plan.phases if phase.id == phase_id), None)
        if phase is None:
            return Content("")
        number, sitting = self.desk.plan.sitting_of(phase.id)
        low, high = (clock(hours * 3600) for hours in phase.hours)
        spent = clock(self.desk.board.seconds_of(phase.id))
        hours = low if low == high else f"{low} to {high}"
        return Content.assemble(
            (one_line(phase.title), "bold"),
            f"\nPlanned: {hours} h, in session {number} ({sitting.hours:g} h).  Spent: {spent} h.",
        )

    def _step_detail(self, status: StepStatus) -> Content:
        step = self.desk.step(status.id)
        note = f" · {step.undo_note}" if step is not None and step.undo_note else ""
        lines = [
            Content.assemble((one_line(status.title), "bold"), "  ", marks.of_step(status).content),
            Content.assemble(
                (status.danger, marks.DANGERS[status.danger]), f" · {marks.UNDOS[status.undo]}", (note, "dim")
            ),
        ]
        if status.summary or status.reason:
            lines.append(Content(one_line(status.summary or status.reason)))
        if step is not None and step.why:
            lines.append(Content.styled(one_line(step.why), "dim"))
        return Content("\n").join(lines)
