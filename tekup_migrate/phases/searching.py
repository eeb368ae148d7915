"""The step about what a search finds: measured on both sides, through the index and exactly."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from tekup_migrate.events import Progress
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

    from tekup_migrate.postgres.catalog.objects import Function
    from tekup_migrate.postgres.outcome import TableMove
    from tekup_migrate.postgres.transplant import TransplantPlan
    from tekup_migrate.postgres.vector_index import Recommendation, SearchQuality, Truth, VectorColumn

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
        async with both_connected(context) as (source, target):
            moves = await table_moves(context, source, planned_moves(context, self.app))
            here = await vector_columns(source, [move.source for move in moves])
            found = _Measuring(context, source, target)
            sides = _both_sides(here, chosen, moves)
            searches = await found.searches(plan) if sides else []
            for old, new in sides:
                await context.gate.guard(found.column(old, new, _lists(context, self.app, new), searches))
            measured = [new.column for _, new in sides]
            found.lines += [_ONLY_THERE.format(column_name(e.column)) for e in chosen if e.column not in measured]
        return Evidence(
            verdict=Verdict.PASSED if found.good else Verdict.DIFFERS,
            summary="; ".join(line for line in found.lines if "source" in line) or "no vectors to search",
            facts=tuple(found.lines),
            figures=tuple(found.figures),
        )


_ONLY_THERE = "{}: the source has no such column, so there is nothing to compare a search with"


def _both_sides(
    here: Sequence[VectorColumn], there: Sequence[Recommendation], moves: Sequence[TableMove]
) -> list[tuple[VectorColumn, Recommendation]]:
    """Return each vector column with what it is searched by on the target; what the plan alone made has no pair."""
    new = {(each.column.relation, each.column.column): each for each in there}
    targets = {move.source: move.target for move in moves}
    return [(old, new[targets[old.relation], old.column]) for old in here]


@dataclass
class _Measuring:
    """What is found column by column: lines and figures of the evidence, and whether all of it is good."""

    context: Context
    source: asyncpg.Connection
    target: asyncpg.Connection
    lines: list[str] = field(default_factory=list)
    figures: list[Figure] = field(default_factory=list)
    good: bool = True

    async def searches(self, plan: TransplantPlan) -> list[tuple[Function, Function]]:
        """Return the app's own search functions, each as it is on both sides."""
        from tekup_migrate.postgres.catalog.objects import Function
        from tekup_migrate.postgres.catalog.reading import read_catalog
        from tekup_migrate.postgres.vector_index import is_search

        source, target = await read_catalog(self.source), await read_catalog(self.target)
        pairs = ((source.get(item.key, Function), target.get(item.target, Function)) for item in plan.items)
        return [(ours, theirs) for ours, theirs in pairs if ours and theirs and is_search(ours)]

    async def column(
        self, old: VectorColumn, new: Recommendation, lists: int, searches: list[tuple[Function, Function]]
    ) -> None:
        """Measure everything about one column. Two servers: what is asked of both is asked at once."""
        import asyncio

        from tekup_migrate.postgres.vector_index import measure, truth_of

        name, metric = column_name(new.column), new.metric
        stages = 3 + len(searches)
        self._tell(0, stages)
        here, there = await asyncio.gather(
            truth_of(self.source, old, metric=metric), truth_of(self.target, new.column, metric=metric)
        )
        if here is None or there is None:
            self.lines.append(f"{name}: could not be measured")
            self.good = self.good and here is there
            return
        self._tell(1, stages)
        # Without settings, as the app's own sessions search.
        before, after = await asyncio.gather(
            measure(self.source, old, here, metric=metric),
            measure(self.target, new.column, there, metric=metric, halfvec=new.halfvec),
        )
        self._compare(name, before, after)
        await self._with_settings(name, new, there)
        self._tell(2, stages)
        await self._written_plan(name, new, lists)
        for number, (ours, theirs) in enumerate(searches, 3):
            self._tell(number, stages)
            await self._through_function((ours, theirs), (old, new.column), (here, there))
        self._tell(stages, stages)

    async def _with_settings(self, name: str, new: Recommendation, truth: Truth) -> None:
        """Say what the app would find if its sessions set what suits the index; it is the app's to set."""
        from tekup_migrate.postgres.vector_index import measure

        settings = new.search_settings
        if not settings:
            return
        found = await measure(self.target, new.column, truth, metric=new.metric, halfvec=new.halfvec, settings=settings)
        told = ", ".join(f"{name} = {number}" for name, number in settings.items())
        self.lines.append(
            f"{name}: a session that sets {told} would have recall@10 {found.recall:.2f} in"
            f" {found.milliseconds:.1f} ms on the new index"
        )

    async def _written_plan(self, name: str, new: Recommendation, lists: int) -> None:
        """Say what the plan's index made before the load would have found: it is made so in a table that is gone."""
        from tekup_migrate.postgres.vector_index import measure_written_plan

        quality = await measure_written_plan(self.target, new.column, metric=new.metric, lists=lists)
        if quality is None:
            return
        self.figures.append(Figure(f"{name} recall@10 before the load", round(quality.recall, 4)))
        self.lines.append(
            f"{name}: ivfflat with lists = {lists} made before the load would have recall@10"
            f" {quality.recall:.2f} and {quality.milliseconds:.1f} ms a search"
            " (tried in a temporary table)"
        )

    async def _through_function(
        self,
        functions: tuple[Function, Function],
        columns: tuple[VectorColumn, VectorColumn],
        truths: tuple[Truth, Truth],
    ) -> None:
        import asyncio

        from tekup_migrate.postgres.vector_index import measure_function

        name = functions[1].key.name
        before, after = await asyncio.gather(
            measure_function(self.source, functions[0], columns[0], truths[0]),
            measure_function(self.target, functions[1], columns[1], truths[1]),
        )
        if before is None or after is None:
            self.lines.append(f"{name}: could not be measured")
            self.good = self.good and before is after
            return
        self._compare(name, before, after)

    def _compare(self, name: str, before: SearchQuality, after: SearchQuality) -> None:
        """Add the four numbers to the evidence; recall below the source's is no success."""
        self.lines.append(
            f"{name}: recall@10 {before.recall:.2f} at the source, {after.recall:.2f} at the target;"
            f" {before.milliseconds:.1f} ms and {after.milliseconds:.1f} ms a search"
        )
        self.lines.append(
            f"{name}: an exact scan takes {before.exact_milliseconds:.1f} ms and {after.exact_milliseconds:.1f} ms;"
            f" {min(before.samples, after.samples)} searches, {after.through}"
        )
        self.figures += [
            Figure(f"{name} recall@10 source", round(before.recall, 4)),
            Figure(f"{name} recall@10 target", round(after.recall, 4)),
            Figure(f"{name} search source", round(before.milliseconds, 2), "ms"),
            Figure(f"{name} search target", round(after.milliseconds, 2), "ms"),
            Figure(f"{name} exact scan source", round(before.exact_milliseconds, 2), "ms"),
            Figure(f"{name} exact scan target", round(after.exact_milliseconds, 2), "ms"),
        ]
        self.good = self.good and after.recall >= before.recall - SLACK

    def _tell(self, done: int, stages: int) -> None:
        self.context.listen(Progress(label="searches", done=done, total=stages, unit="measurements"))


USUAL_LISTS = 100
"""What an index of vectors in a hand-written plan usually has."""


def _lists(context: Context, app: str, found: Recommendation) -> int:
    """Return the lists of the plan's own index on a column, where its floor has one."""
    floors = (move.floor for move in planned_moves(context, app) if move.place == found.column.relation)
    wanted = (index for floor in floors for index in floor.indexes if found.column.column in index.columns)
    return next((index.parameters["lists"] for index in wanted if "lists" in index.parameters), USUAL_LISTS)
