"""The step about what a search finds: measured on both sides, through the index and exactly."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING

from msgspec import structs

from tekup_migrate.events import Progress
from tekup_migrate.phases.access import both_connected, label_of
from tekup_migrate.phases.index import column_name, recommended
from tekup_migrate.phases.observation import Observation
from tekup_migrate.phases.resolutions import planned_moves
from tekup_migrate.phases.schema import transplant_of
from tekup_migrate.phases.search_notes import Measured, Notes
from tekup_migrate.phases.tables import table_moves
from tekup_migrate.plan import Phase, Plan
from tekup_migrate.steps import Context, Evidence, Figure, Verdict

if TYPE_CHECKING:
    import asyncpg

    from tekup_migrate.phases.search_notes import Side
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
            sides = _both_sides(here, chosen, moves)
            searches = await _searches(source, target, plan) if sides else []
            found: list[Measured] = []
            for old, new in sides:
                column = _Column(context, (source, target), (old, new), searches)
                notes = await Notes.of(context, self.id, column.sides, [each for pair in searches for each in pair])
                await context.gate.guard(column.measure(notes, _lists(context, self.app, new), found))
        Notes.forget(context, self.id)
        lines = [line for each in found for line in each.lines]
        measured = [new.column for _, new in sides]
        lines += [_ONLY_THERE.format(column_name(e.column)) for e in chosen if e.column not in measured]
        return Evidence(
            verdict=Verdict.PASSED if all(each.good for each in found) else Verdict.DIFFERS,
            summary="; ".join(line for line in lines if "source" in line) or "no vectors to search",
            facts=tuple(lines),
            figures=tuple(figure for each in found for figure in each.figures),
        )

    def forget(self, context: Context) -> None:
        """Forget what was measured before a pause."""
        Notes.forget(context, self.id)


_ONLY_THERE = "{}: the source has no such column, so there is nothing to compare a search with"


def _both_sides(
    here: Sequence[VectorColumn], there: Sequence[Recommendation], moves: Sequence[TableMove]
) -> list[tuple[VectorColumn, Recommendation]]:
    """Return each vector column with what it is searched by on the target; what the plan alone made has no pair."""
    new = {(each.column.relation, each.column.column): each for each in there}
    targets = {move.source: move.target for move in moves}
    return [(old, new[targets[old.relation], old.column]) for old in here]


async def _searches(
    source: asyncpg.Connection, target: asyncpg.Connection, plan: TransplantPlan
) -> list[tuple[Function, Function]]:
    """Return the app's own search functions, each as it is on both sides."""
    from tekup_migrate.postgres.catalog.objects import Function
    from tekup_migrate.postgres.catalog.reading import read_catalog
    from tekup_migrate.postgres.vector_index import is_search

    here, there = await read_catalog(source), await read_catalog(target)
    pairs = ((here.get(item.key, Function), there.get(item.target, Function)) for item in plan.items)
    return [(ours, theirs) for ours, theirs in pairs if ours and theirs and is_search(ours)]


@dataclass
class _Column:
    """Measures everything about one column on both sides, one thing after the other."""

    context: Context
    connections: tuple[asyncpg.Connection, asyncpg.Connection]
    column: tuple[VectorColumn, Recommendation]
    searches: list[tuple[Function, Function]]
    _truths: tuple[Truth | None, Truth | None] | None = None

    @property
    def name(self) -> str:
        """The column's name in the evidence."""
        return column_name(self.column[1].column)

    @property
    def sides(self) -> tuple[Side, Side]:
        """The column on either side."""
        old, new = self.column
        return (self.connections[0], old), (self.connections[1], new.column)

    async def measure(self, notes: Notes, lists: int, found: list[Measured]) -> None:
        """Measure what a pause had not left behind as measured, and note each thing as it is done."""
        stages: list[tuple[str, Callable[[], Awaitable[Measured]]]] = [
            ("the index", self._through_index),
            ("the written plan", lambda: self._written_plan(lists)),
            *((str(pair[1].key), partial(self._through_function, pair)) for pair in self.searches),
        ]
        for number, (what, measure) in enumerate(stages):
            self.context.listen(Progress(label="searches", done=number, total=len(stages), unit="measurements"))
            name = f"{self.name}: {what}"
            measured = notes.found.get(name)
            if measured is None:
                measured = await measure()
                notes.note(self.context, name, measured)
            found.append(measured)
            if not measured.possible:
                return
        self.context.listen(Progress(label="searches", done=len(stages), total=len(stages), unit="measurements"))

    async def _truth(self) -> tuple[Truth | None, Truth | None]:
        """Return the true neighbours on both sides. Two servers: what is asked of both is asked at once."""
        import asyncio

        from tekup_migrate.postgres.vector_index import truth_of

        if self._truths is None:
            metric = self.column[1].metric
            here, there = self.sides
            self._truths = await asyncio.gather(truth_of(*here, metric=metric), truth_of(*there, metric=metric))
        return self._truths

    async def _through_index(self) -> Measured:
        """Search as the app's own sessions do, without settings, and once more with those that suit the index."""
        import asyncio

        from tekup_migrate.postgres.vector_index import measure

        new = self.column[1]
        here, there = await self._truth()
        if here is None or there is None:
            return Measured(lines=(f"{self.name}: could not be measured",), good=here is there, possible=False)
        before, after = await asyncio.gather(
            measure(*self.sides[0], here, metric=new.metric),
            measure(*self.sides[1], there, metric=new.metric, halfvec=new.halfvec),
        )
        found = compared(self.name, before, after)
        settings = new.search_settings
        if not settings:
            return found
        set_so = await measure(*self.sides[1], there, metric=new.metric, halfvec=new.halfvec, settings=settings)
        told = ", ".join(f"{name} = {number}" for name, number in settings.items())
        line = (
            f"{self.name}: a session that sets {told} would have recall@10 {set_so.recall:.2f} in"
            f" {set_so.milliseconds:.1f} ms on the new index"
        )
        return structs.replace(found, lines=(*found.lines, line))

    async def _written_plan(self, lists: int) -> Measured:
        """Say what the plan's index made before the load would have found: it is made so in a table that is gone."""
        from tekup_migrate.postgres.vector_index import measure_written_plan

        quality = await measure_written_plan(*self.sides[1], metric=self.column[1].metric, lists=lists)
        if quality is None:
            return Measured()
        line = (
            f"{self.name}: ivfflat with lists = {lists} made before the load would have recall@10"
            f" {quality.recall:.2f} and {quality.milliseconds:.1f} ms a search"
            " (tried in a temporary table)"
        )
        figure = Figure(f"{self.name} recall@10 before the load", round(quality.recall, 4))
        return Measured(lines=(line,), figures=(figure,))

    async def _through_function(self, functions: tuple[Function, Function]) -> Measured:
        import asyncio

        from tekup_migrate.postgres.vector_index import measure_function, sample_vectors

        key = functions[1].key
        alike = sum(theirs.key.name == key.name for _, theirs in self.searches)
        name = key.name if alike == 1 else f"{key.name}({key.arguments})"
        vectors = await asyncio.gather(*(sample_vectors(*side) for side in self.sides))
        before, after = await asyncio.gather(
            *(
                measure_function(connection, function, column, sampled)
                for (connection, column), function, sampled in zip(self.sides, functions, vectors, strict=True)
            )
        )
        if isinstance(before, str) or isinstance(after, str):
            found = (("source", before), ("target", after))
            why = [f"{each}, says the {side}" for side, each in found if isinstance(each, str)]
            return Measured(lines=(f"{name}: could not be measured: {'; '.join(why)}",), good=len(why) == len(found))
        return compared(name, before, after, of=min(map(len, vectors)))


def compared(name: str, before: SearchQuality, after: SearchQuality, *, of: int = 0) -> Measured:
    """Return the four numbers for the evidence, over the samples of both; recall below the source's is no success.

    ``of`` is how many samples there were, where time may have cut them short.
    """
    from tekup_migrate.postgres.vector_index import FUNCTION_SECONDS, over_the_same

    before, after = over_the_same(before, after)
    count = f"{after.samples} searches"
    if after.samples < of:
        count = f"{after.samples} of {of} searches on both sides, as {FUNCTION_SECONDS:.0f} s were over"
    lines = (
        f"{name}: recall@10 {before.recall:.2f} at the source, {after.recall:.2f} at the target;"
        f" {before.milliseconds:.1f} ms and {after.milliseconds:.1f} ms a search",
        f"{name}: an exact scan takes {before.exact_milliseconds:.1f} ms and {after.exact_milliseconds:.1f} ms;"
        f" {count}, {after.through}",
    )
    figures = (
        Figure(f"{name} recall@10 source", round(before.recall, 4)),
        Figure(f"{name} recall@10 target", round(after.recall, 4)),
        Figure(f"{name} search source", round(before.milliseconds, 2), "ms"),
        Figure(f"{name} search target", round(after.milliseconds, 2), "ms"),
        Figure(f"{name} exact scan source", round(before.exact_milliseconds, 2), "ms"),
        Figure(f"{name} exact scan target", round(after.exact_milliseconds, 2), "ms"),
    )
    return Measured(lines=lines, figures=figures, good=after.recall >= before.recall - SLACK)


USUAL_LISTS = 100
"""What an index of vectors in a hand-written plan usually has."""


def _lists(context: Context, app: str, found: Recommendation) -> int:
    """Return the lists of the plan's own index on a column, where its floor has one."""
    floors = (move.floor for move in planned_moves(context, app) if move.place == found.column.relation)
    wanted = (index for floor in floors for index in floor.indexes if found.column.column in index.columns)
    return next((index.parameters["lists"] for index in wanted if "lists" in index.parameters), USUAL_LISTS)
