"""Conducts one sitting for the App: opens it, runs phase by phase when told to, pauses, and closes it.

It owns the life of the run, so that no screen does. What it needs from whoever sits before it is the small
``Stage`` protocol; it never touches a widget.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import suppress
from enum import Enum
from pathlib import Path
from typing import Protocol

from screens.board import Board
from screens.recovery import NO_BACKUP, chosen_restore, on_failed_restore
from screens.retreat import AGAIN, KEEP, RESTORE, chosen_end, on_trouble
from screens.wording import clock, counted
from tekup_migrate.backup.catalogue import finished_backups
from tekup_migrate.errors import JournalError, MigrationError, PauseRequested
from tekup_migrate.events import OutputLine, Ran, StepState
from tekup_migrate.phases.covering import backups_root
from tekup_migrate.plan import Phase, Plan
from tekup_migrate.questions import Question
from tekup_migrate.report.document import to_json, write_report
from tekup_migrate.restoration import carry_out_restore
from tekup_migrate.rollback import Rollback
from tekup_migrate.runner import statuses
from tekup_migrate.sitting import Opening, Sitting
from tekup_migrate.steps import Operator
from tekup_migrate.walk import Ending, Outcome


class Stance(Enum):
    """What the conductor is doing."""

    OPENING = "opening"
    RESTING = "resting"
    RUNNING = "running"
    PAUSING = "pausing"
    CLOSING = "closing"


class Wayout(Enum):
    """What to do about a step that failed."""

    AGAIN = "again"
    SKIP = "skip"
    LEAVE = "leave"


class Stage(Protocol):
    """What the conductor asks of the App."""

    def opened(self) -> None:
        """The sitting is open: show the hub."""
        ...

    def started(self) -> None:
        """The run goes on: show what it does."""
        ...

    def stopped(self, outcome: Outcome) -> None:
        """The run stopped before its end: say what state everything is in."""
        ...

    def rested(self, advice: str) -> None:
        """A natural place to rest: go back to the hub with this advice."""
        ...

    def finished(self) -> None:
        """Every step is behind the run: show the success criteria."""
        ...

    def closing(self) -> None:
        """The sitting is being closed."""
        ...

    async def trouble(self, step_id: str, error: MigrationError) -> tuple[Wayout, str]:
        """Ask what to do about a failed step; a skip comes with its reason."""
        ...


class Conductor:
    """Conducts one sitting.

    Attributes:
        stance: what it is doing.
        sitting: the open sitting, None before and after.
        leaving: whether the sitting is to be closed as soon as nothing runs.
        redact: removes every secret that this sitting held from a text.
    """

    def __init__(
        self,
        *,
        plan: Plan,
        opening: Opening,
        operator: Operator,
        board: Board,
        stage: Stage,
        report_file: Path | None = None,
    ) -> None:
        self.stance = Stance.OPENING
        self.sitting: Sitting | None = None
        self.leaving = False
        self.redact: Callable[[str], str] = str
        self._plan = plan
        self._opening = opening
        self._operator = operator
        self._board = board
        self._stage = stage
        self._report_file = report_file
        self._wish = asyncio.Event()
        self._errand: Callable[[Sitting], Awaitable[None]] = self._advance

    async def conduct(self) -> None:
        """Open the sitting, carry out what is wished, and close it.

        Raises:
            MigrationError: the sitting could not be opened.
        """
        async with self._opening(self._operator, self._board.take) as sitting:
            self.redact = sitting.context.redact
            self.sitting = sitting
            try:
                await self._hold(sitting)
            finally:
                # Nobody may read the journal once it is closed, whatever ended the sitting.
                self.sitting = None
                self.stance = Stance.CLOSING

    async def _hold(self, sitting: Sitting) -> None:
        """Do what is wished until the operator leaves."""
        self._recall(sitting)
        self.stance = Stance.RESTING
        self._stage.opened()
        while not self.leaving:
            await self._wish.wait()
            self._wish.clear()
            if not self.leaving:
                await self._errand(sitting)
        self._stage.closing()
        self._write_report(sitting)

    def start(self) -> None:
        """Start the run, or let it go on from where it stands."""
        if not self.why_not_start():
            self._wish_for(self._advance)

    def roll_back(self) -> None:
        """Ask how far to roll back, and do it."""
        if not self.why_not_roll_back():
            self._wish_for(self._retreat)

    def restore(self) -> None:
        """Ask which backup to restore, and do it."""
        if not self.why_not_restore():
            self._wish_for(self._recover)

    def why_not_restore(self) -> str:
        """Return why no backup can be restored now, or an empty text."""
        if self.stance is Stance.RUNNING:
            return "The run is going. p pauses it; then a backup can be restored."
        if self.stance is Stance.RESTING and self.sitting is not None:
            return "" if finished_backups(backups_root(self.sitting.context)) else NO_BACKUP
        return self.why_not_start()

    def _wish_for(self, errand: Callable[[Sitting], Awaitable[None]]) -> None:
        self._errand = errand
        self._wish.set()

    def why_not_roll_back(self) -> str:
        """Return why nothing can be rolled back now, or an empty text."""
        if self.stance is Stance.RUNNING:
            return "The run is going. p pauses it; then its steps can be rolled back."
        if self.stance is Stance.RESTING and self.sitting is not None:
            untouched = (StepState.WAITING, StepState.REVERTED)
            some = any(status.state not in untouched for status in self._board.steps.values())
            return "" if some else "No step was carried out yet."
        return self.why_not_start()

    def pause(self) -> None:
        """Ask the run to stop at its next edge."""
        if self.sitting is not None and self.stance is Stance.RUNNING:
            self.stance = Stance.PAUSING
            self.sitting.runner.pause()

    def leave(self) -> None:
        """Pause, then close the sitting."""
        self.leaving = True
        self.pause()
        self._wish.set()

    def why_not_start(self) -> str:
        """Return why the run cannot be started now, or an empty text."""
        reasons = {
            Stance.OPENING: "The run is still being opened.",
            Stance.RUNNING: "The run is going already.",
            Stance.PAUSING: "The run is pausing; it can be resumed in a moment.",
            Stance.CLOSING: "The run is being closed.",
        }
        if self.stance is Stance.RESTING and self.sitting is not None and not self._board.left():
            return "Every step is done. c shows the success criteria."
        return reasons.get(self.stance, "")

    def why_not_pause(self) -> str:
        """Return why there is nothing to pause now, or an empty text."""
        if self.stance is Stance.PAUSING:
            return "It is pausing already. Ctrl-C stops it at once."
        return "" if self.stance is Stance.RUNNING else "Nothing is running, so there is nothing to pause."

    def refresh(self) -> None:
        """Put what the journal says of all steps on the board."""
        if self.sitting is not None:
            runner = self.sitting.runner
            self._board.put(runner.status(), self.sitting.journal.seconds_by_phase(self.sitting.run.id))

    def count_time(self) -> None:
        """Put the time that the journal has counted on the board."""
        # The clock is not worth a crash: the run itself meets a journal that fails, and says so.
        if self.sitting is not None:
            with suppress(JournalError):
                self._board.seconds = self.sitting.journal.seconds_by_phase(self.sitting.run.id)

    def _recall(self, sitting: Sitting) -> None:
        self.refresh()
        for ran in sitting.journal.ran(sitting.run.id):
            known = ran.kind in ("sql", "command", "file", "note")
            event = Ran(kind=ran.kind, text=ran.text, where=ran.location) if known else OutputLine(ran.text)
            self._board.write(event)

    async def _advance(self, sitting: Sitting) -> None:
        """Run phase by phase until the end, a stop, or a good place to rest."""
        self._stage.started()
        while (phase := self._next_phase()) is not None:
            if self.leaving:
                return
            self.stance = Stance.RUNNING
            outcome = await sitting.runner.run(until=phase.id)
            self.stance = Stance.RESTING
            self.refresh()
            if outcome.ending is Ending.FAILED and outcome.error is not None and not self.leaving:
                if await self._way_out(sitting, outcome.step, outcome.error):
                    continue
                return
            if outcome.ending is not Ending.FINISHED:
                self._stage.stopped(outcome)
                return
            if advice := self._advice_after(phase):
                self._stage.rested(advice)
                return
        self._write_report(sitting)
        self._stage.finished()

    async def _retreat(self, sitting: Sitting) -> None:
        """Ask how far to go back, and take step by step back."""
        rollback = Rollback.of(sitting.runner)
        restorable = not self.why_not_restore()
        to = await chosen_end(rollback.outline(), self._plan, self._choose, restorable=restorable)
        if to == RESTORE:
            await self._recover(sitting)
        if to in (KEEP, RESTORE):
            return
        self._stage.started()
        while True:
            self.stance = Stance.RUNNING
            outcome = await rollback.run(to)
            self.stance = Stance.RESTING
            self.refresh()
            if outcome.error is None or self.leaving or await self._choose(on_trouble(outcome.error)) != AGAIN:
                break
        if outcome.ending is Ending.FINISHED:
            left = f" Left as they are: {', '.join(outcome.left)}." if outcome.left else ""
            self._stage.rested(f"Taken back.{left} The run can go forward again from here.")
        else:
            self._stage.stopped(outcome)

    async def _recover(self, sitting: Sitting) -> None:
        """Ask what to restore from which backup, and restore it."""
        backups = finished_backups(backups_root(sitting.context))
        step = await chosen_restore(backups, sitting.plan, self._choose, phase=self._board.phase.id)
        if step is None:
            return
        self._board.put((*sitting.runner.status(), *statuses((step,), {})), self._board.seconds)
        self._stage.started()
        self.stance = Stance.RUNNING
        outcome, wrong = await carry_out_restore(sitting, step)
        self.stance = Stance.RESTING
        self.refresh()
        if outcome.ending is Ending.FINISHED:
            again = f" {counted(len(wrong), 'step')} of the run must be carried out again." if wrong else ""
            self._stage.rested(f"{step.title}: done, and compared.{again}")
            return
        if outcome.error is not None and not self.leaving:
            await self._choose(on_failed_restore(outcome.error))
        self._stage.stopped(outcome)

    async def _choose(self, question: Question) -> str:
        try:
            return await self._operator.choose(question)
        except PauseRequested:
            return KEEP

    def _write_report(self, sitting: Sitting) -> None:
        if self._report_file is not None:
            write_report(self._report_file, to_json(sitting.report()))

    async def _way_out(self, sitting: Sitting, step_id: str, error: MigrationError) -> bool:
        """Ask what to do about a failure; True when the run goes on."""
        way, reason = await self._stage.trouble(step_id, error)
        if way is Wayout.SKIP:
            sitting.runner.skip(step_id, reason)
            self.refresh()
        if way is Wayout.LEAVE:
            self._stage.stopped(Outcome(Ending.FAILED, step_id, error))
        return way is not Wayout.LEAVE and not self.leaving

    def _next_phase(self) -> Phase | None:
        left = {status.phase for status in self._board.left()}
        return next((phase for phase in self._plan.phases if phase.id in left), None)

    def _advice_after(self, phase: Phase) -> str:
        """Return advice to rest here, or an empty text when the run should simply go on."""
        following = self._next_phase()
        if following is None:
            return ""
        number, sitting = self._plan.sitting_of(phase.id)
        used = sum(self._board.seconds_of(part) for part in sitting.phases)
        spent = f"{clock(used)} of {clock(sitting.hours * 3600)}"
        if following.id not in sitting.phases:
            return (
                f"Session {number} of {len(self._plan.sittings)} is done ({spent}). This is a good place to stop: "
                f"everything is saved. Next comes {following.title}."
            )
        if used >= sitting.hours * 3600:
            return (
                f"The time planned for session {number} is used up ({spent}). A pause is safe here. "
                f"Next comes {following.title}."
            )
        return ""
