"""What ``plan`` and ``status`` print: every phase and step, and where a run stands. Touches nothing."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

from msgspec import Struct

from tekup_migrate.errors import JournalError
from tekup_migrate.events import StepState
from tekup_migrate.journal import JOURNAL, Journal, RunRecord
from tekup_migrate.phases import steps_of
from tekup_migrate.plan import Move, Phase, Plan
from tekup_migrate.report.document import Report, make_report
from tekup_migrate.runner import StepStatus, statuses
from tekup_migrate.steps import Step


class PlannedStep(Struct, frozen=True, kw_only=True):
    """One step as ``plan --json`` shows it."""

    id: str
    phase: str
    title: str
    danger: str
    undo: str
    undo_note: str
    why: str


class PlannedTable(Struct, frozen=True, kw_only=True):
    """One table that moves, and what the plan says it must have at the end whatever the source has."""

    target: str
    sources: tuple[str, ...]
    may_be_absent: bool
    floor: str


class PlannedPhase(Struct, frozen=True, kw_only=True):
    """One phase with its steps, the tables it moves, its hours (least and most) and the sitting it is scheduled in."""

    id: str
    title: str
    kind: str
    hours: tuple[float, float]
    sitting: str
    steps: tuple[PlannedStep, ...]
    tables: tuple[PlannedTable, ...] = ()


class PhaseStatus(Struct, frozen=True, kw_only=True):
    """Where one phase stands; ``seconds`` were spent in it so far."""

    id: str
    title: str
    seconds: float
    steps: tuple[StepStatus, ...]


class RunStatus(Struct, frozen=True, kw_only=True):
    """Where the latest run stands; ``run`` is empty when there is none."""

    plan: str
    run: str
    finished: bool
    rehearsal: bool
    phases: tuple[PhaseStatus, ...]


def planned(plan: Plan) -> tuple[PlannedPhase, ...]:
    """Return every phase and step of a plan."""
    steps = steps_of(plan)
    return tuple(_planned_phase(plan, phase, steps) for phase in plan.phases)


def _planned_phase(plan: Plan, phase: Phase, steps: Sequence[Step]) -> PlannedPhase:
    own = tuple(
        PlannedStep(
            id=step.id,
            phase=step.phase,
            title=step.title,
            danger=step.danger.value,
            undo=step.undo.value,
            undo_note=step.undo_note,
            why=step.why,
        )
        for step in steps
        if step.phase == phase.id
    )
    _, sitting = plan.sitting_of(phase.id)
    moves = plan.moves_of(phase.app) if phase.kind == "move" else ()
    return PlannedPhase(
        id=phase.id,
        title=phase.title,
        kind=phase.kind,
        hours=phase.hours,
        sitting=sitting.title,
        steps=own,
        tables=tuple(
            PlannedTable(
                target=move.target, sources=move.sources, may_be_absent=move.may_be_absent, floor=_floor_line(move)
            )
            for move in moves
        ),
    )


def _floor_line(move: Move) -> str:
    """Return how much of a table the plan states, in a line; empty where it states nothing."""
    floor = move.floor
    counts = (
        (len(floor.columns), "column", "columns"),
        (len(floor.foreign_keys), "foreign key", "foreign keys"),
        (len(floor.indexes), "index", "indexes"),
        (sum(map(len, floor.enums.values())), "enum label", "enum labels"),
        (len(move.policies), "policy", "policies"),
    )
    told = [f"{count} {one if count == 1 else many}" for count, one, many in counts if count]
    told[1:1] = ["a key"] * bool(floor.primary_key)
    return ", ".join(told)


def plan_lines(plan: Plan) -> Iterator[str]:
    """Yield the plan as text."""
    yield f"{plan.title}: {plan.source.title} → {plan.target.title}"
    for number, phase in enumerate(planned(plan), 1):
        low, high = phase.hours
        hours = f"{low:g} h" if low == high else f"{low:g}–{high:g} h"
        yield f"\n{number} {phase.title}  ({hours}, {phase.sitting})"
        for table in phase.tables:
            yield f"  {'table':<12} {table.target:<30} from {' or '.join(table.sources)}"
            absent = "made empty from it" if table.may_be_absent else "asked about"
            yield f"  {'':<12} {'':<30} at least {table.floor or 'nothing'}; where the source has none: {absent}"
        for step in phase.steps:
            yield f"  {step.danger:<12} {step.id:<30} {step.title}"
            yield f"  {'':<12} {'':<30} {step.undo}: {step.undo_note}"


def run_status(plan: Plan, state: Path) -> RunStatus:
    """Return where the plan's latest run stands.

    Raises:
        JournalError: the journal is damaged or from a newer version.
    """
    journal = Journal.open_existing(state / plan.id / JOURNAL)
    if journal is None:
        return _status(plan, None, {}, statuses(steps_of(plan), {}))
    try:
        run = journal.latest_run()
        if run is None:
            return _status(plan, None, {}, statuses(steps_of(plan), {}))
        return _status(plan, run, journal.seconds_by_phase(run.id), statuses(steps_of(plan), journal.latest(run.id)))
    finally:
        journal.close()


def _status(plan: Plan, run: RunRecord | None, seconds: dict[str, float], steps: Sequence[StepStatus]) -> RunStatus:
    return RunStatus(
        plan=plan.id,
        run=run.id if run else "",
        finished=bool(run and run.finished),
        rehearsal=bool(run and run.rehearsal),
        phases=tuple(
            PhaseStatus(
                id=phase.id,
                title=phase.title,
                seconds=round(seconds.get(phase.id, 0.0), 1),
                steps=tuple(step for step in steps if step.phase == phase.id),
            )
            for phase in plan.phases
        ),
    )


def latest_report(plan: Plan, state: Path) -> Report:
    """Return the report of the plan's latest run, finished or not.

    Raises:
        JournalError: there is no run, or the journal is damaged or from a newer version.
    """
    path = state / plan.id / JOURNAL
    journal = Journal.open_existing(path)
    try:
        run = journal.latest_run() if journal else None
        if journal is None or run is None:
            raise JournalError(
                "There is no run to report",
                happened=f"{path} holds no run of the plan “{plan.id}”.",
                unchanged="Nothing was written.",
                remedy="Begin one with `tekup-migrate`, or name the directory that keeps it with --state DIR.",
            )
        return make_report(plan, steps_of(plan), journal, run)
    finally:
        if journal is not None:
            journal.close()


def status_lines(status: RunStatus) -> Iterator[str]:
    """Yield where a run stands, as text."""
    if not status.run:
        yield f"No run of the plan “{status.plan}” yet. `tekup-migrate` begins one."
        return
    yield f"Run {status.run} of the plan “{status.plan}”: " + ("finished" if status.finished else "not finished")
    for number, phase in enumerate(status.phases, 1):
        spent = f"  {phase.seconds / 60:.0f} min" if phase.seconds >= 1 else ""
        yield f"\n{number} {phase.title}{spent}"
        for step in phase.steps:
            # The verdict on what was taken back is about the taking back: “passed” would read as if the step stood.
            word = step.state.value if step.state is StepState.REVERTED else step.verdict or step.state.value
            summary = f" · {step.summary}" if step.summary else ""
            yield f"  {word:<11} {step.title}{summary}"
