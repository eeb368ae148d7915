"""Carries out steps: previews, confirms, applies, verifies, journals; pauses and resumes.

It cannot tell who answers. For each step it writes ``intended``, ``applied`` and ``verified`` to the journal,
each on disk before the next begins, and on resume looks at the world before it applies anything.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from functools import partial

from msgspec import Struct

from tekup_migrate.errors import MigrationError
from tekup_migrate.events import StepState
from tekup_migrate.journal import Entry, State
from tekup_migrate.questions import Option, Question
from tekup_migrate.steps import Evidence, Step, Undo, Verdict
from tekup_migrate.walk import Ending, Outcome, Walk

_GOOD = (Verdict.PASSED, Verdict.ATTESTED, Verdict.SKIPPED)


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


class Runner(Walk):
    """Carries out the steps of one run, in order, from wherever the journal says it stands."""

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
            outcome = await self._guarded(step, partial(self._attempt, step, entry))
            if outcome is not None:
                return outcome
        if last == len(self.steps) - 1:
            self.journal.finish(self.context.run)
        return Outcome(Ending.FINISHED)

    async def carry_out(self, step: Step) -> Outcome:
        """Carry out a step that is none of the plan's, such as a restore; the run neither goes on nor ends by it."""
        self.context.gate.open()
        outcome = await self._guarded(step, partial(self._attempt, step, None))
        entry = self.journal.latest(self.context.run).get(step.id)
        passed_over = entry is not None and entry.state is State.SKIPPED
        return outcome or Outcome(Ending.DECLINED if passed_over else Ending.FINISHED, step.id)

    async def look_again(self, why: str) -> tuple[str, ...]:
        """Look whether what the finished steps changed still holds; return the ids of those that do not.

        They count as failed from then on, for the reason ``why``, and so do the looks that came after the first of
        them: the run begins with them again.
        """
        latest, wrong = self.journal.latest(self.context.run), list[str]()
        for step in self.steps:
            entry = latest.get(step.id)
            if entry is None or entry.state is not State.VERIFIED:
                continue
            if bool(wrong) if step.undo is Undo.NOTHING else not await self._holds(step):
                wrong.append(step.id)
                self.journal.write(self.context.run, step.id, State.FAILED, reason=why)
        if wrong:
            self.journal.reopen(self.context.run)
        return tuple(wrong)

    async def _holds(self, step: Step) -> bool:
        try:
            return (await self._verify(step)).verdict in _GOOD
        except MigrationError:
            # What cannot be looked at is carried out again; a lasting cause shows itself there.
            return False

    def _declined(self, step: Step) -> None:
        self._tell(step.id, StepState.WAITING)

    def _skipped(self, step: Step, reason: str) -> None:
        self.skip(step.id, reason)

    def _failed(self, step: Step, error: MigrationError, seconds: float) -> None:
        self.journal.write(self.context.run, step.id, State.FAILED, reason=str(error), seconds=seconds)

    async def _attempt(self, step: Step, entry: Entry | None, started: float) -> Outcome | None:
        confirmed = ""
        if entry is not None and entry.state in (State.INTENDED, State.APPLIED, State.FAILED):
            confirmed = self._confirmed_fingerprint(step)
            if confirmed and await self._already_there(step, started):
                return None
        while True:
            preview = await self._agree(step, confirmed)
            confirmed = preview.fingerprint
            self._write_ahead(step, preview, State.INTENDED)
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

    def _confirmed_fingerprint(self, step: Step) -> str:
        entries = self.journal.entries(self.context.run)
        return next((e.fingerprint for e in reversed(entries) if e.step == step.id and e.fingerprint), "")

    def _conclude(self, step: Step, evidence: Evidence, started: float, *, reason: str = "") -> None:
        seconds = time.monotonic() - started
        self.journal.write(self.context.run, step.id, State.VERIFIED, evidence=evidence, reason=reason, seconds=seconds)
        state = StepState.DONE if evidence.verdict in _GOOD or reason else StepState.FAILED
        self._tell(step.id, state, evidence=evidence, seconds=seconds)


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
