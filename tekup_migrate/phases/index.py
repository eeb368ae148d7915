"""The steps about vector search: weigh the index, build it after the load, and measure what a search finds."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

from tekup_migrate.phases.access import both_connected, connected, label_of
from tekup_migrate.phases.observation import Observation
from tekup_migrate.phases.schema import transplant_of
from tekup_migrate.phases.tables import table_moves
from tekup_migrate.phases.taken_back import reverted
from tekup_migrate.plan import Phase, Plan
from tekup_migrate.steps import (
    Context,
    Danger,
    Evidence,
    Figure,
    Option,
    Preview,
    Question,
    Remark,
    Sql,
    Step,
    Undo,
    Verdict,
)

if TYPE_CHECKING:
    import asyncpg

    from tekup_migrate.postgres.comparison import Item
    from tekup_migrate.postgres.transplant import Created
    from tekup_migrate.postgres.vector_index import Recommendation, SearchQuality, VectorColumn

SLACK = 0.005
"""Recall is an average over a hundred searches: half a hit among a thousand neighbours is noise."""


async def _recommendations(context: Context, app: str) -> tuple[Recommendation, ...]:
    """Return what is to be built, as the operator decided where they did."""
    from tekup_migrate.postgres.vector_index import Method, recommendations

    plan = await transplant_of(context, app)
    async with both_connected(context) as (source, target):
        tables = [move.target for move in await table_moves(source, context.plan.moves_of(app))]
        found = list(await recommendations(target, plan, tables))
        for place, each in enumerate(found):
            chosen = context.memory.recall(_note(each.column))
            if chosen and chosen.decode() != each.method.value:
                found[place] = (await recommendations(target, plan, tables, method=Method(chosen.decode())))[place]
    return tuple(found)


def _note(column: VectorColumn) -> str:
    return f"vector index:{column.table}.{column.column}"


class WeighIndex(Observation):
    """Recommends how each vector column is to be searched, and lets the operator change it."""

    why = (
        "An index that was built before the rows were there finds little. Few rows need none: a scan is fast and exact."
        " The recommendation says why."
    )

    def __init__(self, plan: Plan, phase: Phase) -> None:
        super().__init__(id=f"{phase.id}.weigh", phase=phase.id, title="Choose the vector index")
        self.app = phase.app

    def looks_at(self, context: Context) -> tuple[str, ...]:
        """Name what the recommendation is made from."""
        return ("rows and dimensions of every vector column, the server's memory, and the source's indexes",)

    def target(self, context: Context) -> str:
        """Return the target's label."""
        return label_of(context, context.plan.project_id("target"))

    async def apply(self, context: Context) -> None:
        """Ask once for each column; the recommendation is what an unattended run takes."""
        for found in await _recommendations(context, self.app):
            if context.memory.recall(_note(found.column)) is None:
                chosen = await context.operator.choose(_question(found))
                context.memory.remember(_note(found.column), chosen.encode())
                asked = (context.memory.recall(self.id) or b"").decode().splitlines()
                context.memory.remember(self.id, "\n".join((*asked, _note(found.column))).encode())

    def forget(self, context: Context) -> None:
        """Forget what was chosen, so that it is asked again."""
        for note in (context.memory.recall(self.id) or b"").decode().splitlines():
            context.memory.forget(note)
        context.memory.forget(self.id)

    async def verify(self, context: Context) -> Evidence:
        """Say what was decided, and why."""
        found = await _recommendations(context, self.app)
        undecided = [each for each in found if context.memory.recall(_note(each.column)) is None]
        lines = tuple(f"{_name(each.column)}: {each.method.value}, {each.reason}" for each in found)
        return Evidence(
            verdict=Verdict.UNVERIFIED if undecided else Verdict.PASSED,
            summary=", ".join(f"{_name(each.column)}: {each.method.value}" for each in found) or "no vector columns",
            facts=lines,
        )


def _question(found: Recommendation) -> Question:
    from tekup_migrate.postgres.vector_index import Method

    labels = {
        Method.NONE: ("No index", "Every search scans all rows: exact, and fast while there are few."),
        Method.IVFFLAT: ("ivfflat", "Quick to build; finds less when rows change much after the build."),
        Method.HNSW: ("hnsw", "Slower to build and larger; finds well and keeps up with changes."),
    }
    return Question(
        title=f"Search of {_name(found.column)}",
        text=f"Recommended: {found.method.value}, because {found.reason}."
        f" {found.column.rows:,} rows, {found.column.dimensions} dimensions. {found.warning}".strip(),
        options=tuple(Option(method.value, label, consequence) for method, (label, consequence) in labels.items()),
        safe=found.method.value,
    )


def _name(column: VectorColumn) -> str:
    return f"{column.table}.{column.column}"


class BuildIndex(Step):
    """Builds the vector indexes that were chosen, with the memory they need."""

    danger = Danger.CAREFUL
    undo = Undo.UNDOABLE
    undo_danger = Danger.DESTRUCTIVE
    undo_note = "The index is dropped again; the rows are not touched."
    why = "Built on rows that are there, with enough memory, an index finds far more than one that was made before."

    def __init__(self, plan: Plan, phase: Phase) -> None:
        super().__init__(id=f"{phase.id}.index", phase=phase.id, title="Build the vector index")
        self.app = phase.app

    async def preview(self, context: Context) -> Preview:
        """Show the settings and the statement."""
        from tekup_migrate.postgres.vector_index import Method

        where = label_of(context, context.plan.project_id("target"))
        actions: list[Sql | Remark] = []
        for found in await _recommendations(context, self.app):
            if found.warning:
                actions.append(Remark(found.warning, True))
            if found.method is Method.NONE:
                actions.append(Remark(f"{_name(found.column)}: no index, {found.reason}."))
                continue
            actions.append(Sql(f"SET maintenance_work_mem = '{found.maintenance_work_mem >> 20} MB'", where))
            actions.append(Sql(f"SET max_parallel_maintenance_workers = {found.parallel_workers}", where))
            actions.append(Sql(found.statement(), where))
        return Preview(
            title=self.title,
            target=where,
            verb="Build it",
            undo=self.undo_note,
            actions=tuple(actions) or (Remark("No moved table has a vector column: nothing to build."),),
        )

    async def apply(self, context: Context) -> None:
        """Build what is not there yet."""
        from tekup_migrate.postgres.vector_index import build

        target = context.plan.project_id("target")
        for found in await _recommendations(context, self.app):
            async with connected(context, target) as connection, connected(context, target) as watcher:
                work = build(connection, found, record=self._recorder(context), listen=context.listen, watcher=watcher)
                await context.gate.guard(work)

    def _recorder(self, context: Context) -> _Recorder:
        return _Recorder(context, self.id)

    async def verify(self, context: Context) -> Evidence:
        """Look for a valid index on every column that shall have one."""
        from tekup_migrate.postgres.vector_index import Method

        lines, good = [], True
        found = await _recommendations(context, self.app)
        async with connected(context, context.plan.project_id("target")) as connection:
            for each in found:
                there = each.method is Method.NONE or await _stands(connection, each)
                good = good and there
                state = "no index wanted" if each.method is Method.NONE else "built" if there else "not there"
                lines.append(f"{_name(each.column)}: {each.method.value} {each.name} {state}. {each.reason}".strip())
        return Evidence(
            verdict=Verdict.PASSED if good else Verdict.DIFFERS,
            summary=", ".join(f"{_name(each.column)}: {each.method.value}" for each in found) or "no vector columns",
            facts=tuple(lines),
        )

    async def revert(self, context: Context) -> None:
        """Drop what was built."""
        from tekup_migrate.postgres.transplant import undo as drop_created

        recorder = self._recorder(context)
        async with connected(context, context.plan.project_id("target")) as connection:
            for sql in await drop_created(connection, recorder.kept):
                context.ran("sql", sql, label_of(context, context.plan.project_id("target")))

    async def preview_revert(self, context: Context) -> Preview:
        """Show the statements."""
        from tekup_migrate.postgres.transplant import undo_plan

        target = context.plan.project_id("target")
        where = label_of(context, target)
        async with connected(context, target) as connection:
            drops = await undo_plan(connection, self._recorder(context).kept)
        return Preview(
            title="Drop the vector index",
            target=where,
            verb="Drop the index",
            undo="Run the step again: it is built anew.",
            actions=tuple(Sql(sql, where) for sql in drops) or (Remark("No index was built: nothing is run."),),
            destroys=tuple(sql.removeprefix("DROP ") for sql in drops),
        )

    async def verify_reverted(self, context: Context) -> Evidence:
        """Look for the indexes in the target's catalog."""
        from tekup_migrate.postgres.transplant import still_there

        async with connected(context, context.plan.project_id("target")) as connection:
            left = await still_there(connection, self._recorder(context).kept)
        return reverted(not left, "no index of this run is left", ", ".join(str(entry.key) for entry in left))

    def forget(self, context: Context) -> None:
        """Forget what was built."""
        context.memory.forget(self.id)


class _Recorder:
    """Keeps in the journal what a build created."""

    def __init__(self, context: Context, step: str) -> None:
        self._context = context
        self._step = step

    @property
    def kept(self) -> tuple[Created, ...]:
        """Return what was created so far."""
        from tekup_migrate.postgres.transplant import Created

        kept = self._context.memory.recall(self._step)
        return msgspec.json.decode(kept, type=tuple[Created, ...]) if kept else ()

    def __call__(self, made: tuple[Created, ...]) -> None:
        """Add to it."""
        known = {entry.key for entry in made}
        both = [*(entry for entry in self.kept if entry.key not in known), *made]
        self._context.memory.remember(self._step, msgspec.json.encode(both))


async def _stands(connection: asyncpg.Connection, found: Recommendation) -> bool:
    return bool(
        await connection.fetchval(
            """
            SELECT i.indisvalid
            FROM pg_catalog.pg_index AS i
            JOIN pg_catalog.pg_class AS c ON c.oid = i.indexrelid
            JOIN pg_catalog.pg_am AS m ON m.oid = c.relam
            JOIN pg_catalog.pg_namespace AS n ON n.oid = c.relnamespace
            WHERE n.nspname = $1 AND c.relname = $2 AND m.amname = $3
            """,
            found.column.relation_schema,
            found.name,
            found.method.value,
        )
    )


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
        recommended = await _recommendations(context, self.app)
        lines: list[str] = []
        figures: list[Figure] = []
        good = True
        async with both_connected(context) as (source, target):
            moves = await table_moves(source, context.plan.moves_of(self.app))
            here = await vector_columns(source, [move.source for move in moves])
            for old, new in zip(here, recommended, strict=True):
                before, after = await _both(context, source, target, old, new)
                good = _compare(_name(new.column), before, after, lines, figures) and good
                lines += await _written_plan(context, target, new)
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

    there = measure(target, new.column, metric=new.metric, halfvec=new.halfvec, settings=new.search_settings)
    # Two servers: neither search slows the other down by more than the machine between them does.
    before, after = await context.gate.guard(asyncio.gather(measure(source, old, metric=new.metric), there))
    return before, after


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


async def _written_plan(context: Context, target: asyncpg.Connection, new: Recommendation) -> list[str]:
    """Say what an index made before the load, as written plans often have it, would have found."""
    from tekup_migrate.postgres.vector_index import measure_written_plan

    quality = await context.gate.guard(measure_written_plan(target, new.column, metric=new.metric))
    if quality is None:
        return []
    return [
        f"{_name(new.column)}: an ivfflat index made before the load would have recall@10 {quality.recall:.2f}"
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
    ]
    return after.recall >= before.recall - SLACK
