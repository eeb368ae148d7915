"""What carrying steps out and taking them back have in common: agreement, redaction, and how one step may end."""

from __future__ import annotations

import time
from abc import ABC, abstractmethod
from collections.abc import Awaitable, Callable, Sequence
from enum import Enum

import msgspec
from msgspec import Struct

from tekup_migrate.errors import MigrationError, PauseRequested, WorldChangedError
from tekup_migrate.events import StepChanged, StepFailed, StepState
from tekup_migrate.journal import Journal, State
from tekup_migrate.questions import Answer, Reply
from tekup_migrate.steps import Context, Danger, DeclinedError, Evidence, Preview, SkippedError, Step

_MOST_PREVIEWS = 5


class Ending(Enum):
    """Why a run or a roll back came to a stop."""

    FINISHED = "finished"
    PAUSED = "paused"
    DECLINED = "declined"
    DIFFERS = "differs"
    FAILED = "failed"


class Outcome(Struct, frozen=True):
    """How far a run or a roll back came: why it ended, at which step, and with which error.

    ``left`` names the steps that a roll back left as they are because the operator chose so.
    """

    ending: Ending
    step: str = ""
    error: MigrationError | None = None
    left: tuple[str, ...] = ()


class Walk(ABC):
    """Goes through the steps of one run, in either direction, from wherever the journal says it stands."""

    def __init__(self, *, steps: Sequence[Step], context: Context, journal: Journal) -> None:
        self.steps = tuple(steps)
        self.context = context
        self.journal = journal

    def pause(self) -> None:
        """Ask for a stop at the next chunk or step edge; ``run`` then returns ``Ending.PAUSED``."""
        self.context.gate.request()

    async def _guarded(self, step: Step, work: Callable[[float], Awaitable[Outcome | None]]) -> Outcome | None:
        """Do one step's ``work``, given when it started; None lets the walk go on to the next step."""
        started = time.monotonic()
        span = self.journal.begin_span(self.context.run, step.phase)
        try:
            self.context.gate.check()
            return await work(started)
        except PauseRequested:
            self._tell(step.id, StepState.PAUSED)
            return Outcome(Ending.PAUSED, step.id)
        except DeclinedError:
            self._declined(step)
            return Outcome(Ending.DECLINED, step.id)
        except SkippedError as skipped:
            return self._skipped(step, skipped.reason)
        except MigrationError as error:
            clean = error.redacted(self.context.redact)
            self._failed(step, clean, time.monotonic() - started)
            self._tell(step.id, StepState.FAILED)
            self.context.listen(StepFailed(step=step.id, error=clean))
            return Outcome(Ending.FAILED, step.id, clean)
        finally:
            self.journal.end_span(span)

    @abstractmethod
    def _declined(self, step: Step) -> None:
        """Show a step that the operator did not agree to."""

    @abstractmethod
    def _skipped(self, step: Step, reason: str) -> Outcome | None:
        """Note a step that the operator passes over; None lets the walk go on."""

    @abstractmethod
    def _failed(self, step: Step, error: MigrationError, seconds: float) -> None:
        """Note in the journal that a step failed."""

    async def _agree(self, step: Step, confirmed: str) -> Preview:
        """Preview and confirm until what was confirmed is what the world still is."""
        for _ in range(_MOST_PREVIEWS):
            self._tell(step.id, StepState.PREVIEWING)
            preview = await step.preview(self.context)
            if step.danger is Danger.SAFE or preview.fingerprint == confirmed:
                return preview
            self._tell(step.id, StepState.CONFIRMING)
            reply = await self.context.operator.confirm(step, preview)
            if reply.answer is Answer.SKIP:
                raise SkippedError(reply.reason)
            if reply.answer is Answer.DECLINE:
                raise DeclinedError
            confirmed = self._settle(step, preview, reply)
        raise WorldChangedError(
            f"“{step.title}” keeps changing while it is being confirmed",
            happened=f"What it would do changed {_MOST_PREVIEWS} times between the preview and the confirmation.",
            unchanged="Nothing of it was carried out.",
            remedy="Stop whatever changes the same files or tables, then try again.",
        )

    def _settle(self, step: Step, preview: Preview, reply: Reply) -> str:
        """Note what was chosen for the parts of a confirmed preview; return the fingerprint of what was agreed on."""
        chosen = preview.choosing(reply.choices)
        if chosen.parts:
            step.settle(self.context, {part.id: part.choice for part in chosen.parts})
        return chosen.fingerprint

    def _write_ahead(self, step: Step, preview: Preview, state: State) -> None:
        """Write what was agreed to the journal, before the world is touched."""
        text = self.context.redact(msgspec.json.encode(preview).decode())
        kept = msgspec.json.decode(text, type=Preview)
        self.journal.write(self.context.run, step.id, state, preview=kept, fingerprint=preview.fingerprint)

    async def _verify(self, step: Step) -> Evidence:
        self._tell(step.id, StepState.VERIFYING)
        evidence = await step.verify(self.context)
        return msgspec.json.decode(self.context.redact(msgspec.json.encode(evidence).decode()), type=Evidence)

    def _tell(self, step_id: str, state: StepState, *, evidence: Evidence | None = None, seconds: float = 0.0) -> None:
        verdict, summary = (evidence.verdict.value, evidence.summary) if evidence else ("", "")
        self.context.listen(StepChanged(step=step_id, state=state, verdict=verdict, summary=summary, seconds=seconds))
