"""What every screen works with: the plan, the board, and what may be done now."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from screens.board import Board
from screens.conductor import Conductor, Stance
from tekup_migrate.errors import JournalError
from tekup_migrate.journal import Entry
from tekup_migrate.plan import Plan
from tekup_migrate.steps import Step


@dataclass(frozen=True)
class Desk:
    """What every screen works with.

    Attributes:
        given_plan: the consolidation as the command line read it.
        rehearsal: whether everything is thrown away afterwards.
        board: what is known of the run now.
        conductor: starts, pauses and ends the run.
        report_file: where the JSON report goes, if anywhere.
    """

    given_plan: Plan
    rehearsal: bool
    board: Board
    conductor: Conductor
    report_file: Path | None

    @property
    def plan(self) -> Plan:
        """The consolidation; a rehearsal's own has the paths and addresses of its own world."""
        sitting = self.conductor.sitting
        return sitting.plan if sitting is not None else self.given_plan

    def step(self, step_id: str) -> Step | None:
        """Return a step of the open run by its id."""
        sitting = self.conductor.sitting
        steps = sitting.runner.steps if sitting is not None else ()
        return next((step for step in steps if step.id == step_id), None)

    def latest(self) -> dict[str, Entry] | None:
        """Return each step's latest journal entry, or None where the journal cannot be read now."""
        sitting = self.conductor.sitting
        try:
            return sitting.journal.latest(sitting.run.id) if sitting is not None else None
        except JournalError:
            return None

    def reports(self) -> tuple[Path, ...]:
        """Return the documents that this run has written."""
        sitting = self.conductor.sitting
        written = sorted(sitting.context.folder.glob("*.md")) if sitting is not None else []
        if self.report_file is not None and self.report_file.exists():
            written.append(self.report_file)
        return tuple(written)

    def why_not(self, command: str) -> str:
        """Return why a command cannot be carried out now, or an empty text when it can."""
        conductor = self.conductor
        reasons = {
            "start": conductor.why_not_start,
            "pause": conductor.why_not_pause,
            "rollback": conductor.why_not_roll_back,
            "restore": conductor.why_not_restore,
            "evidence": self._unless_open,
            "phase": self._unless_open,
            "hub": self._unless_open,
            "criteria": self._unless_open,
        }
        reason = reasons.get(command)
        return reason() if reason else ""

    def _unless_open(self) -> str:
        if self.conductor.sitting is not None:
            return ""
        return "The run is still being opened." if self.conductor.stance is Stance.OPENING else "The run is closed."
