"""Walks the journal backwards: previews, confirms and takes back one step after the other, and looks each time.

Each step's roll back is journaled before the next begins: ``reverting`` before the world is touched, ``reverted``
once a look at the world said so. A kill in the middle leaves a step ``reverting``; the next roll back looks first.
"""

from __future__ import annotations

import time
from functools import partial

import msgspec
from msgspec import Struct

from tekup_migrate.credentials.secret import Secret
from tekup_migrate.errors import MigrationError
from tekup_migrate.events import StepState
from tekup_migrate.journal import Entry, State
from tekup_migrate.parts import Choices
from tekup_migrate.questions import Option, Question
from tekup_migrate.runner import Runner
from tekup_migrate.steps import Context, Danger, DeclinedError, Evidence, Preview, SkippedError, Step, Undo, Verdict
from tekup_migrate.walk import Ending, Outcome, Walk

_TOUCHING = (State.INTENDED, State.APPLIED, State.REVERTING)


class UndoLine(Struct, frozen=True, kw_only=True):
    """One step of a roll back as it is listed beforehand, the last step of the run first.

    Attributes:
        id: the step's id.
        phase: its phase's id.
        title: what the step did.
        undo: whether it can be taken back (the value of ``Undo``).
        note: how, or why not.
        danger: the rung on which taking it back is confirmed (the value of ``Danger``).
        asks: whether the operator will be asked; otherwise the step is passed over.
    """

    id: str
    phase: str
    title: str
    undo: str
    note: str
    danger: str
    asks: bool


class Reversal(Step):
    """Taking one step back, as the operator is asked about it: a step of its own, on its own rung."""

    def __init__(self, step: Step) -> None:
        super().__init__(id=step.id, phase=step.phase, title=f"Undo: {step.title}")
        self.step = step
        self.danger = step.undo_danger  # type: ignore[misc]
        self.undo = Undo.UNDOABLE  # type: ignore[misc]
        self.undo_note = "Run the step again."  # type: ignore[misc]
        self.why = f"It takes back: {step.title}. {step.undo_note}"  # type: ignore[misc]

    async def preview(self, context: Context) -> Preview:
        """Say exactly what taking the step back will do."""
        return await self.step.preview_revert(context)

    def settle(self, context: Context, choices: Choices) -> None:
        """Note what was chosen for the parts of the preview."""
        self.step.settle(context, choices)

    def behind(self, part: str) -> tuple[Secret, ...]:
        """Return the values behind the masks of a part."""
        return self.step.behind(part)

    async def apply(self, context: Context) -> None:
        """Take it back."""
        await self.step.revert(context)

    async def verify(self, context: Context) -> Evidence:
        """Look whether it is taken back."""
        return await self.step.verify_reverted(context)


class Rollback(Walk):
    """Takes back the steps of one run, the last one first, from wherever the journal says it stands."""

    @classmethod
    def of(cls, runner: Runner) -> Rollback:
        """Return the roll back of a runner's run."""
        return cls(steps=runner.steps, context=runner.context, journal=runner.journal)

    def outline(self, to: str = "") -> tuple[UndoLine, ...]:
        """Return what a roll back to before ``to`` would go through, in its order; reads only the journal.

        Args:
            to: a step's or a phase's id; it is taken back too, so that the run stands before it. Empty: the start.

        Raises:
            MigrationError: the plan has no such step or phase.
        """
        touched = self._touched()
        return tuple(_line(step, asks=step.id in touched) for step in self._backwards(to))

    async def run(self, to: str = "") -> Outcome:
        """Take back everything down to and including ``to`` (all when empty); it can be called again to go on.

        Raises:
            MigrationError: the plan has no such step or phase.
        """
        self.context.gate.open()
        steps, touched = self._backwards(to), self._touched()
        left: list[str] = []
        if steps:
            self.journal.reopen(self.context.run)
        for step in steps:
            work = self._take_back if step.id in touched else self._pass_over
            outcome = await self._guarded(step, partial(work, step))
            if outcome is None:
                continue
            if outcome.left:
                left += outcome.left
                continue
            return msgspec.structs.replace(outcome, left=tuple(left))
        return Outcome(Ending.FINISHED, left=tuple(left))

    def _backwards(self, to: str) -> tuple[Step, ...]:
        """Return the steps to go through: those that the journal knows something of, the last one first."""
        first = next((n for n, step in enumerate(self.steps) if to in ("", step.id, step.phase)), None)
        if first is None:
            raise MigrationError(
                f"There is no step or phase “{to}”",
                happened="The plan has no step and no phase of that name.",
                unchanged="Nothing was taken back.",
                remedy="`tekup-migrate status` and `tekup-migrate plan --json` list them.",
            )
        latest = self.journal.latest(self.context.run)
        known = (step for step in self.steps[first:] if step.id in latest)
        return tuple(step for step in reversed(tuple(known)) if latest[step.id].state is not State.REVERTED)

    def _touched(self) -> frozenset[str]:
        """Return the steps that may have changed something since they were last taken back."""
        touched: set[str] = set()
        for entry in self.journal.entries(self.context.run):
            if entry.state in _TOUCHING:
                touched.add(entry.step)
            elif entry.state is State.REVERTED:
                touched.discard(entry.step)
        return frozenset(touched - {step.id for step in self.steps if step.undo is Undo.NOTHING})

    def _declined(self, step: Step) -> None:
        self._tell_as_it_is(step)

    def _skipped(self, step: Step, reason: str) -> Outcome:
        self._tell_as_it_is(step)
        return Outcome(Ending.FINISHED, step.id, left=(step.id,))

    def _failed(self, step: Step, error: MigrationError, seconds: float) -> None:
        entry = self._latest(step)
        if entry is not None and entry.state is State.REVERTING:
            self.journal.write(self.context.run, step.id, State.REVERTING, reason=str(error), seconds=seconds)

    async def _pass_over(self, step: Step, started: float) -> None:
        """Let a step that changed nothing forget what it noted, so that it is carried out anew next time."""
        step.forget(self.context)
        evidence = Evidence(verdict=Verdict.PASSED, summary="nothing to take back")
        self.journal.write(self.context.run, step.id, State.REVERTED, evidence=evidence)
        self._tell(step.id, StepState.REVERTED, evidence=evidence)

    async def _take_back(self, step: Step, started: float) -> Outcome | None:
        entry = self._latest(step)
        confirmed = entry.fingerprint if entry is not None and entry.state is State.REVERTING else ""
        lines = await step.left_behind(self.context)
        if lines:
            await self._ask_what_of(step, lines)
        reversal = Reversal(step)
        while True:
            preview = await self._agree(reversal, confirmed)
            confirmed = preview.fingerprint
            self._write_ahead(step, preview, State.REVERTING)
            self._tell(step.id, StepState.APPLYING)
            await reversal.apply(self.context)
            evidence = await self._verify(reversal)
            if evidence.verdict is Verdict.PASSED:
                step.forget(self.context)
                self._conclude(step, evidence, started)
                return None
            choice = await self.context.operator.choose(_not_back(step, evidence))
            if choice == "accept":
                self._conclude(step, evidence, started, reason=f"accepted as {evidence.verdict.value}")
                return None
            if choice == "stop":
                self._tell(step.id, StepState.FAILED, evidence=evidence)
                return Outcome(Ending.DIFFERS, step.id)

    async def _ask_what_of(self, step: Step, lines: tuple[str, ...]) -> None:
        """Let the operator stop, leave the step as it is, or restore the backup first that covers it."""
        resort = await step.last_resort(self.context)
        question = _cannot_be_undone(step, tuple(map(self.context.redact, lines)), resort)
        choice = await self.context.operator.choose(question)
        if choice == "leave":
            raise SkippedError("it cannot be taken back")
        if resort is None or choice != "restore":
            raise DeclinedError
        await self._restore(resort)

    async def _restore(self, resort: Step) -> None:
        started = time.monotonic()
        preview = await self._agree(resort, "")
        self._write_ahead(resort, preview, State.INTENDED)
        self._tell(resort.id, StepState.APPLYING)
        await resort.apply(self.context)
        self.journal.write(self.context.run, resort.id, State.APPLIED)
        evidence = await self._verify(resort)
        seconds = time.monotonic() - started
        self.journal.write(self.context.run, resort.id, State.VERIFIED, evidence=evidence, seconds=seconds)
        if evidence.verdict is not Verdict.PASSED:
            raise MigrationError(
                "The restore did not bring everything back",
                happened=f"{evidence.summary}.",
                unchanged="What the backup does not hold was not touched, and no step was taken back.",
                remedy="Read the details; the backup and its RESTORE.md are as they were.",
                details="\n".join(evidence.facts),
            )

    def _conclude(self, step: Step, evidence: Evidence, started: float, *, reason: str = "") -> None:
        seconds = time.monotonic() - started
        self.journal.write(self.context.run, step.id, State.REVERTED, evidence=evidence, reason=reason, seconds=seconds)
        self._tell(step.id, StepState.REVERTED, evidence=evidence, seconds=seconds)

    def _latest(self, step: Step) -> Entry | None:
        return self.journal.latest(self.context.run).get(step.id)

    def _tell_as_it_is(self, step: Step) -> None:
        """Show a step that was not taken back as what it still is."""
        entry = self._latest(step)
        done = entry is not None and entry.done
        self._tell(step.id, StepState.DONE if done else StepState.PAUSED, evidence=entry.evidence if entry else None)


def _line(step: Step, *, asks: bool) -> UndoLine:
    return UndoLine(
        id=step.id,
        phase=step.phase,
        title=step.title,
        undo=step.undo.value,
        note=step.undo_note,
        danger=step.undo_danger.value if asks else Danger.SAFE.value,
        asks=asks,
    )


def _cannot_be_undone(step: Step, lines: tuple[str, ...], resort: Step | None) -> Question:
    restore = Option("restore", resort.title, "What was written since is counted and shown first.") if resort else None
    return Question(
        title=f"“{step.title}” cannot be taken back",
        text="\n".join(lines),
        options=(
            Option("stop", "Stop here", "Nothing more is taken back; what was, stays so."),
            Option("leave", "Leave it as it is and go on", "The step counts as done; earlier ones are taken back."),
            *((restore,) if restore else ()),
        ),
        safe="stop",
    )


def _not_back(step: Step, evidence: Evidence) -> Question:
    return Question(
        title=f"{step.title}: not as it was before",
        text="\n".join((evidence.summary, *evidence.facts)),
        options=(
            Option("stop", "Stop here", "Nothing more is taken back; the roll back can be resumed."),
            Option("again", "Try again", "It is previewed, taken back and looked at once more."),
            Option("accept", "Go on all the same", "The journal keeps this verdict."),
        ),
        safe="stop",
    )
