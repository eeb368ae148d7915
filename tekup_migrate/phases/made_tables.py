"""Tables that the source lacks and that are made empty from the plan: asked about once, and told wherever rows are."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import msgspec
from msgspec import Struct

from tekup_migrate.errors import MigrationError
from tekup_migrate.phases.access import connected
from tekup_migrate.phases.resolutions import PlacedMove, agree_to_make
from tekup_migrate.phases.tables import SCHEMA, look_up
from tekup_migrate.plan import Move
from tekup_migrate.questions import Option, Question
from tekup_migrate.steps import Context, Evidence, Remark, Verdict

if TYPE_CHECKING:
    from tekup_migrate.phases.tables import LookedUp

_STOP, _MAKE = "stop", "make"
_SHOWN = 12
"""Other tables of the source that are named in the question: one of them may be the one that is meant."""


class MadeTable(Struct, frozen=True):
    """A table that was made empty, by its name in the target; ``rows`` is None where it is not there."""

    name: str
    sources: tuple[str, ...]
    rows: int | None

    @property
    def line(self) -> str:
        """What there is to say of its rows."""
        state = "it is not at the target" if self.rows is None else "it is empty there, as the plan makes it"
        if self.rows:
            state = f"{self.rows:,} rows were written to it at the target"
        return f"{self.name}: not on the source ({', '.join(self.sources)}), so there is nothing to compare; {state}"


async def look_up_source(context: Context, moves: Sequence[PlacedMove]) -> LookedUp:
    """Look the moves' tables up at the source.

    Raises:
        MigrationError: the source has none at all of an app's tables.
    """
    async with connected(context, context.plan.project_id("source")) as source:
        return await look_up(context, source, moves)


async def ask_to_make(context: Context, moves: Sequence[PlacedMove]) -> None:
    """Ask about each table that the source lacks; one that is left for later stays undecided.

    Raises:
        MigrationError: the plan's floor does not say of which columns such a table would be made.
    """
    found = await look_up_source(context, moves)
    for move in found.absent:
        _refuse_without_columns(context, move)
        if await context.operator.choose(_question(move, found.others)) != _MAKE:
            return
        agree_to_make(context, move)


async def made_tables(context: Context, moves: Sequence[PlacedMove]) -> tuple[MadeTable, ...]:
    """Count the rows of the tables that the source lacks, reading only."""
    made = (await look_up_source(context, moves)).made
    if not made:
        return ()
    found = []
    async with connected(context, context.plan.project_id("target")) as target:
        for move, table in made:
            there = await target.fetchval("SELECT to_regclass($1)", table.target.sql)
            rows = await target.fetchval(f"SELECT count(*) FROM {table.target.sql}") if there else None
            found.append(MadeTable(table.target.label, move.sources, rows))
    return tuple(found)


async def remarks_on_made(context: Context, moves: Sequence[PlacedMove]) -> tuple[Remark, ...]:
    """Return a line about each table of which there is nothing to copy."""
    return tuple(
        Remark(f"{table.target.label} is not on the source: there is nothing to copy, it is empty by the plan")
        for _, table in (await look_up_source(context, moves)).made
    )


def with_made(evidence: Evidence, made: Sequence[MadeTable]) -> Evidence:
    """Return the evidence about rows with what there is to say of tables that the source lacks."""
    if not made:
        return evidence
    gone = [table.name for table in made if table.rows is None]
    names = ", ".join(f"{table.name} ({table.rows:,} rows)" if table.rows else table.name for table in made)
    summary = f"{evidence.summary}; not on the source, made empty: {names}"
    return msgspec.structs.replace(
        evidence,
        verdict=Verdict.DIFFERS if gone else evidence.verdict,
        summary=f"{', '.join(gone)}: not at the target" if gone else summary,
        facts=(*evidence.facts, *(table.line for table in made)),
    )


def undecided(found: LookedUp) -> Evidence:
    """Return the evidence of a comparison that cannot be made: tables are missing and nobody said what shall be."""
    lacking = (f"{m.target}: the source's schema {SCHEMA} has none of {', '.join(m.sources)}" for m in found.absent)
    others = ", ".join(found.others[:_SHOWN])
    return Evidence(
        verdict=Verdict.DIFFERS,
        summary=f"not on the source: {', '.join(move.target for move in found.absent)}",
        facts=(
            *lacking,
            *([f"tables of the source that no move takes: {others}"] if others else []),
            "Put the present name into `sources` of the move, or `may_be_absent = true` where it shall be made empty.",
        ),
    )


def _refuse_without_columns(context: Context, move: Move) -> None:
    if move.floor.columns:
        return
    place = next(n for n, each in enumerate(context.plan.moves) if each.sources == move.sources)
    raise MigrationError(
        f"There is no table to move to {move.target}, and nothing to make it from",
        happened=f"The source's schema {SCHEMA} has none of: {', '.join(move.sources)}. The plan's floor of"
        f" {move.target} states no columns.",
        unchanged="Nothing was created or copied.",
        remedy=f"Put the table's present name into moves[{place}].sources, or state its columns in"
        f" moves[{place}].floor.columns, with its key in floor.primary_key.",
    )


def _question(move: Move, others: Sequence[str]) -> Question:
    columns = ", ".join(f"{column.name} {column.type}" for column in move.floor.columns)
    like = [f"Tables of the source that no move takes: {', '.join(others[:_SHOWN])}."] if others else []
    more = [f"… and {len(others) - _SHOWN} more."] if len(others) > _SHOWN else []
    return Question(
        title=f"{move.target} is not on the source",
        text="\n".join(
            (
                f"The source's schema {SCHEMA} has none of: {', '.join(move.sources)}.",
                *like,
                *more,
                "",
                "If it has another name there, its rows would be left behind: decide later, and put that name into"
                " `sources` of this move in the plan.",
                "",
                f"Made empty it would have, by the plan: {columns}.",
            )
        ),
        options=(
            Option(_STOP, "Decide later", "Nothing is created; the run stops here."),
            Option(_MAKE, "Make it empty from the plan", "No row is copied to it; the SQL is shown before it runs."),
        ),
        safe=_STOP,
    )
