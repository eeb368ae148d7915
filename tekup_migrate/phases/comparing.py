"""Comparing the moved rows, reading only: before the cut-over strictly, afterwards with the target's own life."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from tekup_migrate.phases.access import both_sides
from tekup_migrate.phases.resolutions import PlacedMove
from tekup_migrate.phases.tables import table_moves
from tekup_migrate.steps import Context, Evidence, Verdict

if TYPE_CHECKING:
    from tekup_migrate.postgres.outcome import Policy, TableOutcome


async def compare(context: Context, moves: Sequence[PlacedMove]) -> tuple[TableOutcome, ...]:
    """Compare the moves' tables row by row, reading only, as of one moment of the source."""
    from tekup_migrate.postgres.reconcile import reconcile

    async with both_sides(context) as (source, target), source.snapshot():
        async with source.connection() as connection:
            found = await table_moves(context, connection, moves)
        return tuple(
            [
                await reconcile(
                    source,
                    target,
                    move,
                    write=False,
                    policy=chosen_policy(context, move.target.label),
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
            f"{outcome.move.target.label}: {tally.source.rows:,} rows at the source,"
            f" {tally.target.rows:,} at the target, {outcome.verdict.value}"
        )
        if outcome.verdict is Verdict.DIFFERS:
            facts.append(
                f"  {tally.only_source:,} rows are only at the source, {tally.only_target:,} only at the target,"
                f" {tally.changed:,} differ" + (f"; {len(outcome.samples)} of them:" if outcome.samples else "")
            )
        facts += [f"  {sample}" for sample in outcome.samples]
    rows = sum(outcome.tally.source.rows for outcome in outcomes)
    bad = [outcome.move.target.label for outcome in outcomes if outcome.verdict is not Verdict.PASSED]
    verdicts = {outcome.verdict for outcome in outcomes}
    worst = next((v for v in (Verdict.DIFFERS, Verdict.UNVERIFIED) if v in verdicts), Verdict.PASSED)
    return Evidence(
        verdict=worst if outcomes else Verdict.UNVERIFIED,
        summary=f"{rows:,} rows in {len(outcomes)} tables are equal" if not bad else f"{', '.join(bad)}: not equal",
        facts=tuple(facts),
    )


def live_evidence(outcomes: Sequence[TableOutcome]) -> Evidence:
    """Return the evidence of a comparison after the cut-over where nothing was noted in the last pass.

    Rows only on the target are new ones. Rows only on the source, or different there, may be late writes or the
    target's own life: that cannot be told.
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
        summary = f"{missing:,} rows are only at the source, {changed:,} differ; which side was written to is not known"
    return Evidence(
        verdict=Verdict.PASSED if good and outcomes else Verdict.UNVERIFIED, summary=summary, facts=evidence.facts
    )


def chosen_policy(context: Context, table: str) -> Policy:
    """Return whose rows the operator chose to win in a table; nobody's until they did."""
    from tekup_migrate.postgres.outcome import Policy

    kept = context.memory.recall(f"policy:{table}")
    return Policy(kept.decode()) if kept else Policy.REFUSE
