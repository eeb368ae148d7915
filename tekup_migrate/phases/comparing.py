"""Comparing the moved rows, reading only: before the cut-over strictly, afterwards with the target's own life."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from tekup_migrate.phases.access import both_sides, label_of
from tekup_migrate.phases.observation import Observation
from tekup_migrate.phases.tables import table_moves
from tekup_migrate.plan import Move, Phase, Plan
from tekup_migrate.steps import Context, Evidence, Verdict

if TYPE_CHECKING:
    from tekup_migrate.postgres.outcome import Policy, TableOutcome


class RowsKept(Observation):
    """Compares the rows once more, days after the cut-over: nothing that the source has may be missing."""

    why = "Queries return correct data only while the rows are there: every row of the source is looked for again."

    def __init__(self, plan: Plan, phase: Phase) -> None:
        super().__init__(id=f"{phase.id}.rows", phase=phase.id, title="Compare the moved rows once more")

    def looks_at(self, context: Context) -> tuple[str, ...]:
        """Name the tables."""
        return tuple(f"every row of {move.target} against the source" for move in context.plan.moves)

    def target(self, context: Context) -> str:
        """Return both databases' labels."""
        plan = context.plan
        return f"{label_of(context, plan.project_id('source'))} and {label_of(context, plan.project_id('target'))}"

    async def verify(self, context: Context) -> Evidence:
        """Compare; what the live target gained or changed since is its own business."""
        return live_evidence(await compare(context, context.plan.moves))


class LateWrites(RowsKept):
    """Looks for rows that somebody wrote to the source after the cut-over."""

    why = "Something forgotten may still write to the old project. Its rows would be lost when that is deleted."

    def __init__(self, plan: Plan, phase: Phase) -> None:
        Observation.__init__(
            self, id=f"{phase.id}.late", phase=phase.id, title="Look for rows written to the source since"
        )


async def compare(context: Context, moves: Sequence[Move]) -> tuple[TableOutcome, ...]:
    """Compare the moves' tables row by row, reading only, as of one moment of the source."""
    from tekup_migrate.postgres.reconcile import reconcile

    async with both_sides(context) as (source, target), source.snapshot():
        async with source.connection() as connection:
            found = await table_moves(connection, moves)
        return tuple(
            [
                await reconcile(
                    source,
                    target,
                    move,
                    write=False,
                    policy=chosen_policy(context, move.target.name),
                    emit=context.listen,
                    gate=context.gate,
                )
                for move in found
            ]
        )


def rows_evidence(outcomes: Sequence[TableOutcome]) -> Evidence:
    """Return the evidence of a comparison in which both sides must be equal."""
    facts: list[str] = []
    for outcome in outcomes:
        tally = outcome.tally
        facts.append(
            f"{outcome.move.target.name}: {tally.source.rows:,} rows at the source,"
            f" {tally.target.rows:,} at the target, {outcome.verdict.value}"
        )
        facts += [f"  {sample}" for sample in outcome.samples]
    rows = sum(outcome.tally.source.rows for outcome in outcomes)
    bad = [outcome.move.target.name for outcome in outcomes if outcome.verdict is not Verdict.PASSED]
    verdicts = {outcome.verdict for outcome in outcomes}
    worst = next((v for v in (Verdict.DIFFERS, Verdict.UNVERIFIED) if v in verdicts), Verdict.PASSED)
    return Evidence(
        verdict=worst if outcomes else Verdict.UNVERIFIED,
        summary=f"{rows:,} rows in {len(outcomes)} tables are equal" if not bad else f"{', '.join(bad)}: not equal",
        facts=tuple(facts),
    )


def live_evidence(outcomes: Sequence[TableOutcome]) -> Evidence:
    """Return the evidence of a comparison after the cut-over, when the target has a life of its own.

    Rows only on the target are new ones. Rows only on the source, or different there, may be late writes.
    """
    missing = sum(outcome.tally.only_source for outcome in outcomes)
    changed = sum(outcome.tally.changed for outcome in outcomes)
    new = sum(outcome.tally.only_target for outcome in outcomes)
    rows = sum(outcome.tally.source.rows for outcome in outcomes)
    evidence = rows_evidence(outcomes)
    if any(outcome.verdict is Verdict.UNVERIFIED for outcome in outcomes):
        return evidence
    good = not missing and not changed
    summary = f"all {rows:,} rows of the source are at the target unchanged, {new:,} new ones there"
    if not good:
        summary = f"{missing:,} rows are only at the source, {changed:,} differ"
    return Evidence(
        verdict=Verdict.PASSED if good and outcomes else Verdict.DIFFERS, summary=summary, facts=evidence.facts
    )


def chosen_policy(context: Context, table: str) -> Policy:
    """Return whose rows the operator chose to win in a table; nobody's until they did."""
    from tekup_migrate.postgres.outcome import Policy

    kept = context.memory.recall(f"policy:{table}")
    return Policy(kept.decode()) if kept else Policy.REFUSE
