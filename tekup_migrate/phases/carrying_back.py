"""Rows written since the cut-over: counted, and carried back to the source where the operator wants it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

from tekup_migrate.errors import MigrationError
from tekup_migrate.phases.access import both_sides, connected, label_of
from tekup_migrate.phases.resolutions import PlacedMove
from tekup_migrate.phases.tables import table_moves
from tekup_migrate.questions import Option, Question
from tekup_migrate.steps import Context, DeclinedError, Verdict

if TYPE_CHECKING:
    from tekup_migrate.postgres.outcome import TableMove, TableOutcome
    from tekup_migrate.postgres.side import Side

_STOP, _LEAVE = "stop", "leave"


async def written_since(context: Context, moves: Sequence[PlacedMove]) -> tuple[TableOutcome, ...]:
    """Compare the moved tables the other way round, reading only: what the target has that the source lacks.

    In each outcome ``only_source`` counts rows that only the plan's target has, ``only_target`` rows that only
    its source has.
    """
    from tekup_migrate.postgres.outcome import Policy
    from tekup_migrate.postgres.reconcile import reconcile

    async with both_sides(context) as (source, target), target.snapshot():
        return tuple(
            [
                await reconcile(
                    target, source, back, write=False, policy=Policy.REFUSE, emit=context.listen, gate=context.gate
                )
                for back in await _moves_back(context, source, moves)
            ]
        )


def since_line(outcome: TableOutcome) -> str:
    """Return what the target received or lost since the copy, or an empty text where both sides are equal."""
    if outcome.verdict is Verdict.PASSED:
        return ""
    tally = outcome.tally
    return (
        f"{outcome.move.source.label}: {tally.only_source:,} rows are only on the target, {tally.changed:,} differ,"
        f" {tally.only_target:,} are only at the source"
    )


async def carry_back(context: Context, moves: Sequence[PlacedMove]) -> None:
    """Ask table by table what becomes of rows written since, and carry them back where that is wanted.

    May be repeated: what was carried back is found equal and not asked about again.

    Raises:
        DeclinedError: the operator wants nothing touched for now.
        MigrationError: the target is still written to, or rows could not be carried back.
    """
    await _require_quiet(context, moves)
    found = await written_since(context, moves)
    chosen = [(outcome.move, await _choose(context, outcome)) for outcome in found if since_line(outcome)]
    await _carry(context, {back: choice for back, choice in chosen if choice != _LEAVE})


async def _moves_back(context: Context, source: Side, moves: Sequence[PlacedMove]) -> tuple[TableMove, ...]:
    async with source.connection() as connection:
        found = await table_moves(context, connection, moves)
    return tuple(replace(move, source=move.target, target=move.source) for move in found)


async def _require_quiet(context: Context, moves: Sequence[PlacedMove]) -> None:
    from tekup_migrate.postgres.activity import watch_writes

    target = context.plan.project_id("target")
    async with connected(context, target) as connection:
        tables = [move.place for move in moves]
        watched = await context.gate.guard(watch_writes(connection, tables))
    if not watched.is_quiet:
        by = f" Writing: {', '.join(watched.writers)}." if watched.writers else ""
        changed = ", ".join(each.table for each in watched.written) or "no committed row yet"
        raise MigrationError(
            "The target is still written to",
            happened=f"While it was watched, rows changed in {changed}.{by}",
            unchanged="No row was carried back, and the env files still point at the target.",
            remedy="Stop the app and its workers, then try again: rows written after the count would stay behind.",
        )


async def _choose(context: Context, outcome: TableOutcome) -> str:
    choice = await context.operator.choose(_question(context, outcome))
    if choice == _STOP:
        raise DeclinedError
    return choice


def _question(context: Context, outcome: TableOutcome) -> Question:
    from tekup_migrate.postgres.outcome import Policy

    tally, name = outcome.tally, outcome.move.target.label
    source = label_of(context, context.plan.project_id("source"))
    lines = (f"{since_line(outcome)}.", f"The source is {source}.", *(_sample(str(each)) for each in outcome.samples))
    return Question(
        title=f"{outcome.move.source.label} was written to since the cut-over",
        text="\n".join(lines),
        options=(
            Option(_STOP, "Leave everything as it is", "Nothing is touched; the app goes on using the target."),
            Option(
                Policy.NEWEST.value,
                "Carry back, newest wins",
                f"{tally.only_source:,} rows are added to {name} at the source; of the {tally.changed:,} that differ"
                " the later updated_at wins; rows only at the source stay.",
            ),
            Option(
                Policy.TARGET.value,
                "Carry back what the source lacks",
                f"{tally.only_source:,} rows are added to {name} at the source; nothing there is overwritten.",
            ),
            Option(
                Policy.SOURCE.value,
                "Make the source equal",
                f"{tally.only_source:,} rows are added, {tally.changed:,} overwritten and {tally.only_target:,} deleted"
                f" in {name} at the source.",
            ),
            Option(_LEAVE, "Go back without them", "They stay on the target until its tables are emptied or dropped."),
        ),
        safe=_STOP,
    )


def _sample(text: str) -> str:
    """Name the sides as the plan does: the comparison that found the row ran the other way round."""
    if "only on the source" in text:
        return text.replace("only on the source", "only on the target")
    return text.replace("only on the target", "only on the source")


async def _carry(context: Context, choices: Mapping[TableMove, str]) -> None:
    from tekup_migrate.postgres.outcome import Policy
    from tekup_migrate.postgres.reconcile import reconcile
    from tekup_migrate.postgres.tables_together import in_order

    async with both_sides(context) as (source, target):

        async def one(back: TableMove) -> TableOutcome:
            """Carry one table's rows back."""
            policy = Policy(choices[back])
            return await reconcile(
                target, source, back, write=True, policy=policy, emit=context.listen, gate=context.gate
            )

        for outcome in await in_order(source, await _parents_first(source, choices), one):
            _tell(context, outcome, choices[outcome.move])


async def _parents_first(source: Side, moves: Iterable[TableMove]) -> tuple[TableMove, ...]:
    from tekup_migrate.postgres.foreign_keys import load_order, read_foreign_keys

    by_table = {move.target: move for move in moves}
    async with source.connection() as connection:
        keys = await read_foreign_keys(connection, tuple(by_table))
    return tuple(by_table[relation] for relation in load_order(tuple(by_table), keys))


def _tell(context: Context, outcome: TableOutcome, choice: str) -> None:
    tally, back = outcome.tally, outcome.move
    text = f"carried {tally.sent.rows} rows back to {back.target}, deleted {tally.deleted} there ({choice})"
    context.ran("note", text, label_of(context, context.plan.project_id("source")))
    if outcome.verdict is not Verdict.PASSED:
        clashes = (f"{clash.count} rows share {', '.join(clash.columns)} under another id" for clash in outcome.clashes)
        raise MigrationError(
            f"Not every row of {back.source.label} could be carried back",
            happened=f"The source's {back.target} still differs: {since_line(outcome)}.",
            unchanged="The env files still point at the target, which keeps all its rows.",
            remedy="Settle these rows by hand on one side, or choose another way for them, and try again.",
            details="\n".join((*clashes, *(_sample(str(each)) for each in outcome.samples))),
        )
