"""Carries out steps: previews, confirms, applies, verifies, journals; pauses and resumes.

It cannot tell who answers. For each step it writes ``intended``, ``applied`` and ``verified`` to the journal,
each on disk before the next begins, and on resume looks at the world before it applies anything.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from enum import Enum

import msgspec
from msgspec import Struct

from tekup_migrate.errors import MigrationError, PauseRequested, WorldChangedError
from tekup_migrate.events import StepChanged, StepFailed, StepState
from tekup_migrate.journal import Entry, Journal, State
from tekup_migrate.steps import (
    Answer,
    Context,
    Danger,
    DeclinedError,
    Evidence,
    Option,
    Preview,
    Question,
    SkippedError,
    Step,
    Verdict,
)

_GOOD = (Verdict.PASSED, Verdict.ATTESTED, Verdict.SKIPPED)
_MOST_PREVIEWS = 5


class Ending(Enum):
    """Why a call of ``Runner.run`` returned."""

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


class StepStatus(Struct, frozen=True, kw_only=True):
    """One step as the hub and ``status`` show it."""

    id: str
    phase: str
    title: str
    danger: str
    undo: str
    state: StepState
    verdict: str
    summary: str
    reason: str
    seconds: float


class Runner:
    """Carries out the steps of one run, in order, from wherever the journal says it stands."""

    def __init__(self, *, steps: Sequence[Step], context: Context, journal: Journal) -> None:
        self.steps = tuple(steps)
        self.context = context
        self.journal = journal

    def pause(self) -> None:
        """Ask for a stop at the next chunk or step edge; ``run`` then returns ``Ending.PAUSED``."""
        self.context.gate.request()

    def status(self) -> tuple[StepStatus, ...]:
        """Return every step as the journal knows it."""
        return statuses(self.steps, self.journal.latest(self.context.run))

    def skip(self, step_id: str, reason: str) -> None:
        """Skip a step, with the operator's reason; the report says so."""
        evidence = Evidence(verdict=Verdict.SKIPPED, summary=self.context.redact(reason))
        self.journal.write(self.context.run, step_id, State.SKIPPED, evidence=evidence, reason=evidence.summary)
        self._tell(step_id, StepState.SKIPPED, evidence=evidence)

    async def run(self, *, until: str = "") -> Outcome:
        """Carry out what is not done yet, up to and including the phase ``until`` (all when empty)."""
        self.context.gate.open()
        latest = self.journal.latest(self.context.run)
        last = max((n for n, step in enumerate(self.steps) if step.phase == until), default=len(self.steps) - 1)
        for step in self.steps[: last + 1]:
            entry = latest.get(step.id)
            if entry is not None and entry.done:
                continue
            outcome = await self._carry_out(step, entry)
            if outcome is not None:
                return outcome
        if last == len(self.steps) - 1:
            self.journal.finish(self.context.run)
        return Outcome(Ending.FINISHED)

    async def _carry_out(self, step: Step, entry: Entry | None) -> Outcome | None:
        started = time.monotonic()
        span = self.journal.begin_span(self.context.run, step.phase)
        try:
            self.context.gate.check()
            return await self._attempt(step, entry, started)
        except PauseRequested:
            self._tell(step.id, StepState.PAUSED)
            return Outcome(Ending.PAUSED, step.id)
        except DeclinedError:
            self._tell(step.id, StepState.WAITING)
            return Outcome(Ending.DECLINED, step.id)
        except SkippedError as skipped:
            self.skip(step.id, skipped.reason)
            return None
        except MigrationError as error:
            clean = redacted_error(self.context, error)
            seconds = time.monotonic() - started
            self.journal.write(self.context.run, step.id, State.FAILED, reason=str(clean), seconds=seconds)
            self._tell(step.id, StepState.FAILED)
            self.context.listen(StepFailed(step=step.id, error=clean))
            return Outcome(Ending.FAILED, step.id, clean)
        finally:
            self.journal.end_span(span)

    async def _attempt(self, step: Step, entry: Entry | None, started: float) -> Outcome | None:
        confirmed = ""
        if entry is not None and entry.state in (State.INTENDED, State.APPLIED, State.FAILED):
            confirmed = self._confirmed_fingerprint(step)
            if confirmed and await self._already_there(step, started):
                return None
        while True:
            preview = await self._agree(step, confirmed)
            confirmed = preview.fingerprint
            self._intend(step, preview)
            self._tell(step.id, StepState.APPLYING)
            await step.apply(self.context)
            self.journal.write(self.context.run, step.id, State.APPLIED)
            evidence = await self._verify(step)
            if evidence.verdict in _GOOD:
                self._conclude(step, evidence, started)
                return None
            choice = await self.context.operator.choose(_not_good(step, evidence))
            if choice == "accept":
                self._conclude(step, evidence, started, reason=f"accepted as {evidence.verdict.value}")
                return None
            self._conclude(step, evidence, started)
            if choice == "stop":
                return Outcome(Ending.DIFFERS, step.id)

    async def _already_there(self, step: Step, started: float) -> bool:
        """Whether an unfinished step turns out to be done when the world is looked at."""
        try:
            evidence = await self._verify(step)
        except MigrationError:
            # What cannot be verified is carried out again; a lasting cause shows itself there.
            return False
        if evidence.verdict is not Verdict.PASSED:
            return False
        self._conclude(step, evidence, started)
        return True

    async def _verify(self, step: Step) -> Evidence:
        self._tell(step.id, StepState.VERIFYING)
        return self._redacted_evidence(await step.verify(self.context))

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
            confirmed = preview.fingerprint
        raise WorldChangedError(
            f"“{step.title}” keeps changing while it is being confirmed",
            happened=f"What it would do changed {_MOST_PREVIEWS} times between the preview and the confirmation.",
            unchanged="Nothing was applied.",
            remedy="Stop whatever changes the same files or tables, then run the step again.",
        )

    def _intend(self, step: Step, preview: Preview) -> None:
        text = self.context.redact(msgspec.json.encode(preview).decode())
        kept = msgspec.json.decode(text, type=Preview)
        self.journal.write(self.context.run, step.id, State.INTENDED, preview=kept, fingerprint=preview.fingerprint)

    def _confirmed_fingerprint(self, step: Step) -> str:
        entries = self.journal.entries(self.context.run)
        return next((e.fingerprint for e in reversed(entries) if e.step == step.id and e.fingerprint), "")

    def _conclude(self, step: Step, evidence: Evidence, started: float, *, reason: str = "") -> None:
        seconds = time.monotonic() - started
        self.journal.write(self.context.run, step.id, State.VERIFIED, evidence=evidence, reason=reason, seconds=seconds)
        state = StepState.DONE if evidence.verdict in _GOOD or reason else StepState.FAILED
        self._tell(step.id, state, evidence=evidence, seconds=seconds)

    def _tell(self, step_id: str, state: StepState, *, evidence: Evidence | None = None, seconds: float = 0.0) -> None:
        verdict, summary = (evidence.verdict.value, evidence.summary) if evidence else ("", "")
        self.context.listen(StepChanged(step=step_id, state=state, verdict=verdict, summary=summary, seconds=seconds))

    def _redacted_evidence(self, evidence: Evidence) -> Evidence:
        text = self.context.redact(msgspec.json.encode(evidence).decode())
        return msgspec.json.decode(text, type=Evidence)


def redacted_error(context: Context, error: MigrationError) -> MigrationError:
    """Return an error without any held secret in its words."""
    redact = context.redact
    return type(error)(
        redact(error.title),
        happened=redact(error.happened),
        unchanged=redact(error.unchanged),
        remedy=redact(error.remedy),
        details=redact(error.details),
    )


def statuses(steps: Sequence[Step], latest: dict[str, Entry]) -> tuple[StepStatus, ...]:
    """Return every step with what the journal's latest entries say of it."""
    return tuple(_status(step, latest.get(step.id)) for step in steps)


def _status(step: Step, entry: Entry | None) -> StepStatus:
    evidence = entry.evidence if entry else None
    return StepStatus(
        id=step.id,
        phase=step.phase,
        title=step.title,
        danger=step.danger.value,
        undo=step.undo.value,
        state=_shown_state(entry),
        verdict=evidence.verdict.value if evidence else "",
        summary=evidence.summary if evidence else "",
        reason=entry.reason if entry else "",
        seconds=entry.seconds if entry else 0.0,
    )


def _shown_state(entry: Entry | None) -> StepState:
    if entry is None:
        return StepState.WAITING
    if entry.state is State.SKIPPED:
        return StepState.SKIPPED
    if entry.done:
        return StepState.DONE
    if entry.state in (State.INTENDED, State.APPLIED, State.REVERTING):
        return StepState.PAUSED
    return StepState.REVERTED if entry.state is State.REVERTED else StepState.FAILED


def _not_good(step: Step, evidence: Evidence) -> Question:
    return Question(
        title=f"{step.title}: {evidence.verdict.value}",
        text="\n".join((evidence.summary, *evidence.facts)),
        options=(
            Option("stop", "Stop here", "Nothing more is run; the run can be resumed."),
            Option("again", "Try again", "The step is previewed, applied and verified once more."),
            Option("accept", "Go on all the same", "The report keeps this verdict."),
        ),
        safe="stop",
    )
