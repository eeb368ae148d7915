"""The step about what a search finds: measured on both sides, through the index and exactly."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tekup_migrate.phases.access import both_connected, label_of
from tekup_migrate.phases.index import column_name, recommended
from tekup_migrate.phases.observation import Observation
from tekup_migrate.phases.resolutions import planned_moves
from tekup_migrate.phases.schema import transplant_of
from tekup_migrate.phases.tables import table_moves
from tekup_migrate.plan import Phase, Plan
from tekup_migrate.steps import Context, Evidence, Figure, Verdict

if TYPE_CHECKING:
    import asyncpg

    from tekup_migrate.postgres.comparison import Item
    from tekup_migrate.postgres.vector_index import Recommendation, SearchQuality, VectorColumn

SLACK = 0.005
"""Recall is an average over a hundred searches: half a hit among a thousand neighbours is noise."""


class MeasureSearch(Observation):
    """Measures search on both sides: how many of the true nearest it finds, and how fast."""

    why = "A search that finds less than before looks fine and is broken. It is measured, not assumed."

    def __init__(self, plan: Plan, phase: Phase) -> None:
        super().__init__(id=f"{phase.id}.search", phase=phase.id, title="Measure the search on both sides")
        self.app = phase.app

    def looks_at(self, context: Context) -> tuple[str, ...]:
        """Say what is measured."""
        return (
            "the ten nearest neighbours of up to 100 sampled rows, through the index and exactly, on both sides",
            "the same through the app's own search function, where there is one",
        )

    def target(self, context: Context) -> str:
        """Return both databases' labels."""
        plan = context.plan
        return f"{label_of(context, plan.project_id('source'))} and {label_of(context, plan.project_id('target'))}"

    async def verify(self, context: Context) -> Evidence:
        """Measure."""
        from tekup_migrate.postgres.vector_index import vector_columns

        plan = await transplant_of(context, self.app)
        chosen = await recommended(context, self.app)
        lines: list[str] = []
        figures: list[Figure] = []
        good = True
        async with both_connected(context) as (source, target):
            moves = await table_moves(source, planned_moves(context, self.app))
            here = await vector_columns(source, [move.source for move in moves])
            for old, new in zip(here, chosen, strict=True):
                before, after = await _both(context, source, target, old, new)
                good = _compare(column_name(new.column), before, after, lines, figures) and good
                lines += await _with_settings(context, target, new)
                lines += await _written_plan(context, target, new, _lists(context, self.app, new), figures)
                for item in plan.items:
                    quality = await _through_function(source, target, item, old, new.column)
                    if quality is not None:
                        good = _compare(item.target.name, *quality, lines, figures) and good
        return Evidence(
            verdict=Verdict.PASSED if good else Verdict.DIFFERS,
            summary="; ".join(line for line in lines if "source" in line) or "no vectors to search",
            facts=tuple(lines),
            figures=tuple(figures),
        )


async def _both(
    context: Context,
    source: asyncpg.Connection,
    target: asyncpg.Connection,
    old: VectorColumn,
    new: Recommendation,
) -> tuple[SearchQuality | None, SearchQuality | None]:
    import asyncio

    from tekup_migrate.postgres.vector_index import measure

    # Without settings, as the app's own sessions search.
    there = measure(target, new.column, metric=new.metric, halfvec=new.halfvec)
    # Two servers: neither search slows the other down by more than the machine between them does.
    before, after = await context.gate.guard(asyncio.gather(measure(source, old, metric=new.metric), there))
    return before, after


async def _with_settings(context: Context, target: asyncpg.Connection, new: Recommendation) -> list[str]:
    """Say what the app would find if its sessions set what suits the index; it is the app's to set."""
    from tekup_migrate.postgres.vector_index import measure

    if not new.search_settings:
        return []
    work = measure(target, new.column, metric=new.metric, halfvec=new.halfvec, settings=new.search_settings)
    quality = await context.gate.guard(work)
    told = ", ".join(f"{name} = {number}" for name, number in new.search_settings.items())
    found = f"recall@10 {quality.recall:.2f} in {quality.milliseconds:.1f} ms" if quality else "not measured"
    return [f"{column_name(new.column)}: a session that sets {told} would have {found} on the new index"]


async def _through_function(
    source: asyncpg.Connection, target: asyncpg.Connection, item: Item, old: VectorColumn, new: VectorColumn
) -> tuple[SearchQuality | None, SearchQuality | None] | None:
    import asyncio

    from tekup_migrate.postgres.catalog.objects import Function, Kind
    from tekup_migrate.postgres.catalog.reading import read_catalog
    from tekup_migrate.postgres.vector_index import is_search, measure_function

    if item.key.kind is not Kind.FUNCTION:
        return None
    ours = (await read_catalog(source)).get(item.key, Function)
    theirs = (await read_catalog(target)).get(item.target, Function)
    if ours is None or theirs is None or not is_search(ours):
        return None
    return await asyncio.gather(measure_function(source, ours, old), measure_function(target, theirs, new))


USUAL_LISTS = 100
"""What an index of vectors in a hand-written plan usually has."""


def _lists(context: Context, app: str, found: Recommendation) -> int:
    """Return the lists of the plan's own index on a column, where its floor has one."""
    floors = (move.floor for move in planned_moves(context, app) if move.target == found.column.table)
    wanted = (index for floor in floors for index in floor.indexes if found.column.column in index.columns)
    return next((index.parameters["lists"] for index in wanted if "lists" in index.parameters), USUAL_LISTS)


async def _written_plan(
    context: Context, target: asyncpg.Connection, new: Recommendation, lists: int, figures: list[Figure]
) -> list[str]:
    """Say what the plan's index made before the load would have found: it is made so in a table that is gone after."""
    from tekup_migrate.postgres.vector_index import measure_written_plan

    quality = await context.gate.guard(measure_written_plan(target, new.column, metric=new.metric, lists=lists))
    if quality is None:
        return []
    figures.append(Figure(f"{column_name(new.column)} recall@10 before the load", round(quality.recall, 4)))
    return [
        f"{column_name(new.column)}: ivfflat with lists = {lists} made before the load would have recall@10"
        f" {quality.recall:.2f} and {quality.milliseconds:.1f} ms a search"
        " (tried in a temporary table)"
    ]


def _compare(
    name: str, before: SearchQuality | None, after: SearchQuality | None, lines: list[str], figures: list[Figure]
) -> bool:
    """Add the four numbers to the evidence, and say whether the target is at least as good."""
    if before is None or after is None:
        lines.append(f"{name}: could not be measured")
        return before is after
    lines.append(
        f"{name}: recall@10 {before.recall:.2f} at the source, {after.recall:.2f} at the target;"
        f" {before.milliseconds:.1f} ms and {after.milliseconds:.1f} ms a search"
    )
    lines.append(
        f"{name}: an exact scan takes {before.exact_milliseconds:.1f} ms and {after.exact_milliseconds:.1f} ms;"
        f" {after.samples} searches, {after.through}"
    )
    figures += [
        Figure(f"{name} recall@10 source", round(before.recall, 4)),
        Figure(f"{name} recall@10 target", round(after.recall, 4)),
        Figure(f"{name} search source", round(before.milliseconds, 2), "ms"),
        Figure(f"{name} search target", round(after.milliseconds, 2), "ms"),
        Figure(f"{name} exact scan source", round(before.exact_milliseconds, 2), "ms"),
        Figure(f"{name} exact scan target", round(after.exact_milliseconds, 2), "ms"),
    ]
    return after.recall >= before.recall - SLACK
