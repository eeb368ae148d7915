"""A run that asks nobody: the operator that answers by policy, and a line per step.

It takes the safe option of every choice, so what only a person may decide ends the run with the verdict
``differs`` and touches nothing.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path

from tekup_migrate.credentials.secret import Secret
from tekup_migrate.events import Event, StepChanged, StepState
from tekup_migrate.phases import steps_of
from tekup_migrate.plan import Plan
from tekup_migrate.questions import (
    Answer,
    Attestation,
    ConnectionAnswer,
    ConnectionRequest,
    Question,
    Reply,
    SecretRequest,
    TextRequest,
)
from tekup_migrate.report.document import Report, to_json, write_report
from tekup_migrate.rollback import Rollback
from tekup_migrate.sitting import Opening, Sitting
from tekup_migrate.steps import Operator, Preview, Step
from tekup_migrate.walk import Ending

PASSED, DIFFERS = 0, 1
_ENDED = (StepState.DONE, StepState.SKIPPED, StepState.FAILED, StepState.PAUSED, StepState.REVERTED)


class UnattendedOperator:
    """Goes ahead with every preview, takes the safe option, and holds no secret.

    It attests to nothing, except in a rehearsal, where ``attests`` lets the play go on.
    """

    def __init__(self, *, attests: bool = False) -> None:
        self._attests = attests

    async def confirm(self, step: Step, preview: Preview) -> Reply:
        """Go ahead: whoever may run unattended has been decided before the first step."""
        return Reply(Answer.PROCEED)

    async def choose(self, question: Question) -> str:
        """Take the option that touches nothing."""
        return question.safe

    async def write(self, request: TextRequest) -> str:
        """Type nothing."""
        return ""

    async def secret(self, request: SecretRequest) -> Secret | None:
        """Hold no secret of its own."""
        return None

    async def connection(self, request: ConnectionRequest) -> ConnectionAnswer | None:
        """Know no other connection than the plan's."""
        return None

    async def attest(self, request: Attestation) -> Reply:
        """Skip: a word that nobody gave is not recorded."""
        if self._attests:
            return Reply(Answer.PROCEED)
        return Reply(Answer.SKIP, "unattended: nobody was there to attest it")


class StepPrinter:
    """Prints a line per ended step: verdict, seconds, id, title and evidence."""

    def __init__(self, titles: Mapping[str, str], write: Callable[[str], None]) -> None:
        self._titles = titles
        self._write = write

    def __call__(self, event: Event) -> None:
        """Take an event; only a step's end is printed."""
        if isinstance(event, StepChanged) and event.state in _ENDED:
            verdict = event.verdict or event.state.value
            verdict = "reverted" if event.state is StepState.REVERTED and verdict == "passed" else verdict
            title = self._titles.get(event.step, event.step)
            summary = f" · {event.summary}" if event.summary else ""
            self._write(f"{verdict:<10} {event.seconds:6.2f} s  {event.step:<28} {title}{summary}")


async def run_unattended(
    opening: Opening,
    plan: Plan,
    write: Callable[[str], None],
    *,
    report_file: Path | None = None,
    attests: bool = False,
    then_roll_back: bool = False,
) -> int:
    """Carry the run out as far as it goes without asking; return 0 only when every criterion passed.

    Args:
        opening: opens the sitting.
        plan: the plan, for the steps' titles.
        write: takes a line of text.
        report_file: where the JSON report goes, if anywhere.
        attests: whether manual work counts as done, which is for rehearsals only.
        then_roll_back: take everything back afterwards; 0 then also means that all of it was taken back.

    Raises:
        MigrationError: the sitting could not be opened, a step failed, or the report could not be written.
    """
    titles = {step.id: step.title for step in steps_of(plan)}
    async with opening(UnattendedOperator(attests=attests), StepPrinter(titles, write)) as sitting:
        outcome = await sitting.runner.run()
        report = sitting.report()
        if outcome.ending is Ending.DIFFERS:
            found = next(step.evidence for step in report.steps if step.id == outcome.step)
            for fact in found.facts:
                write(f"  {fact}")
        _write_verdicts(report, sitting, write)
        if report_file is not None:
            write_report(report_file, to_json(report))
        good = outcome.ending is Ending.FINISHED and report.passed
        if then_roll_back:
            write("")
            good = await roll_back(sitting, write) and good
    if outcome.error is not None:
        raise outcome.error
    return PASSED if good else DIFFERS


async def take_back(
    opening: Opening, operator: Operator, plan: Plan, write: Callable[[str], None], *, to: str = ""
) -> int:
    """List what a roll back of the latest run goes through, then do it; return 0 only when all was taken back.

    Raises:
        MigrationError: there is no run, it could not be opened, or the plan has no such step or phase.
    """
    titles = {step.id: step.title for step in steps_of(plan)}
    async with opening(operator, StepPrinter(titles, write)) as sitting:
        lines = [line for line in Rollback.of(sitting.runner).outline(to) if line.asks]
        write(f"Run {sitting.run.id}: {len(lines)} steps to take back, in this order.")
        for line in lines:
            write(f"  {line.danger:<12} {line.id:<28} {line.title}: {line.note}")
        write("")
        return PASSED if await roll_back(sitting, write, to=to) else DIFFERS


async def roll_back(sitting: Sitting, write: Callable[[str], None], *, to: str = "") -> bool:
    """Take a run back down to and including ``to`` and say how that ended; return whether all was taken back.

    Raises:
        MigrationError: the plan has no such step or phase.
    """
    outcome = await Rollback.of(sitting.runner).run(to)
    for step in outcome.left:
        write(f"left       {step}: it stays as it is")
    if outcome.ending is Ending.FINISHED:
        write("Taken back, all of it." if not outcome.left else "Taken back, but for what was left.")
    else:
        write(f"The roll back ended at {outcome.step}: {outcome.ending.value}. It can be called again to go on.")
    return outcome.ending is Ending.FINISHED and not outcome.left


def _write_verdicts(report: Report, sitting: Sitting, write: Callable[[str], None]) -> None:
    write("")
    for criterion in report.criteria:
        write(f"{criterion.verdict.value:<10} {criterion.title}")
    figures = report.figures
    write(
        f"\n{figures.rows} rows, {figures.bytes / 1e6:.1f} MB, {figures.seconds:.1f} s,"
        f" {figures.peak_memory / 1e6:.0f} MB of memory at most. Run {sitting.run.id}."
    )
