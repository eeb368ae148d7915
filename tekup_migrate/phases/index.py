"""The steps about the vector index: weigh it, and build it after the load."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import msgspec

from tekup_migrate.phases.access import both_connected, connected, label_of
from tekup_migrate.phases.covering import cover_of
from tekup_migrate.phases.observation import Observation
from tekup_migrate.phases.ownership import is_ours
from tekup_migrate.phases.resolutions import planned_moves
from tekup_migrate.phases.schema import transplant_of
from tekup_migrate.phases.tables import target_tables
from tekup_migrate.phases.taken_back import reverted
from tekup_migrate.plan import Phase, Plan
from tekup_migrate.questions import Option, Question
from tekup_migrate.steps import Context, Danger, Evidence, Preview, Remark, Sql, Step, Undo, Verdict

if TYPE_CHECKING:
    import asyncpg

    from tekup_migrate.postgres.quoting import Relation
    from tekup_migrate.postgres.transplant import Created
    from tekup_migrate.postgres.vector_index import Recommendation, VectorColumn
    from tekup_migrate.postgres.vector_index.recommendation import ServerMemory


async def recommended(context: Context, app: str) -> tuple[Recommendation, ...]:
    """Return what is to be built, as the operator decided where they did."""
    from tekup_migrate.postgres.vector_index import Method, recommendations

    plan = await transplant_of(context, app)
    async with both_connected(context) as (source, target):
        tables = await target_tables(context, source, planned_moves(context, app))
        memory = await _memory(context, target)
        found = list(await recommendations(target, plan, tables, memory))
        for place, each in enumerate(found):
            chosen = (context.memory.recall(_note(each.column)) or b"").decode()
            if chosen not in ("", _choice_of(each)):
                name, half, _ = chosen.partition(_HALF)
                own = await recommendations(target, plan, tables, memory, method=Method(name), halfvec=bool(half))
                found[place] = own[place]
    return tuple(found)


async def expected_indexes(
    context: Context, source: asyncpg.Connection, target: asyncpg.Connection, tables: Sequence[Relation]
) -> tuple[Recommendation, ...]:
    """Return what will be recommended for the source's vector columns once their rows are at the target."""
    from tekup_migrate.postgres.vector_index import recommend, vector_columns

    memory = await _memory(context, target)
    return tuple(recommend(column, memory) for column in await vector_columns(source, tables))


async def _memory(context: Context, target: asyncpg.Connection) -> ServerMemory:
    from tekup_migrate.postgres.vector_index import server_memory

    gigabytes = context.plan.target.memory_gb
    return await server_memory(target, total=int(gigabytes * 2**30) if gigabytes else None)


_HALF = " halfvec"


def _choice_of(found: Recommendation) -> str:
    """Return a recommendation as the journal keeps a choice."""
    from tekup_migrate.postgres.vector_index import Method

    return found.method.value + (_HALF if found.halfvec and found.method is Method.HNSW else "")


def _serves(context: Context, app: str, found: Recommendation) -> bool:
    """Whether a table may be written to by others: it was there before this run, or the app uses it already."""
    return not is_ours(context, app, found.column.relation.label)


def _note(column: VectorColumn) -> str:
    return f"vector index:{column.relation.label}.{column.column}"


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
        for found in await recommended(context, self.app):
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
        found = await recommended(context, self.app)
        undecided = [each for each in found if context.memory.recall(_note(each.column)) is None]
        lines = [f"{column_name(each.column)}: {each.method.value}, {each.reason}" for each in found]
        lines += [f"{column_name(each.column)}: {each.warning}" for each in found if each.warning]
        lines += sorted({each.memory for each in found})
        return Evidence(
            verdict=Verdict.UNVERIFIED if undecided else Verdict.PASSED,
            summary=", ".join(f"{column_name(each.column)}: {each.method.value}" for each in found)
            or "no vector columns",
            facts=tuple(lines),
        )


def _question(found: Recommendation) -> Question:
    from tekup_migrate.postgres.vector_index import LARGEST_VECTOR_DIMENSIONS, Method

    half = Method.HNSW.value + _HALF
    labels = {
        Method.NONE.value: ("No index", "Every search scans all rows: exact, and fast while there are few."),
        Method.IVFFLAT.value: ("ivfflat", "Quick to build; finds less when rows change much after the build."),
        Method.HNSW.value: ("hnsw", "Slower to build and larger; finds well and keeps up with changes."),
        half: ("hnsw of half precision", "Half as large. Only searches that cast to halfvec use it: mind the app."),
    }
    recommended_ = _choice_of(found)
    wide = found.column.dimensions > LARGEST_VECTOR_DIMENSIONS
    unfit = (Method.HNSW.value,) if wide else () if found.column.type == "vector" else (half,)
    return Question(
        title=f"Search of {column_name(found.column)}",
        text=f"Recommended: {recommended_}, because {found.reason}."
        f" {found.column.rows:,} rows, {found.column.dimensions} dimensions. {found.memory}. {found.warning}".strip(),
        options=tuple(Option(id_, *told) for id_, told in labels.items() if id_ not in unfit),
        safe=recommended_,
    )


def _summary(found: Sequence[Recommendation]) -> str:
    return ", ".join(f"{column_name(each.column)}: {each.method.value}" for each in found) or "no vector columns"


def column_name(column: VectorColumn) -> str:
    """Return how a column is named to the operator."""
    return f"{column.relation.label}.{column.column}"


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
        for found in await recommended(context, self.app):
            if found.warning:
                actions.append(Remark(found.warning, True))
            if found.method is Method.NONE:
                actions.append(Remark(f"{column_name(found.column)}: no index, {found.reason}."))
                continue
            actions.append(Sql(f"SET maintenance_work_mem = '{found.maintenance_work_mem >> 20} MB'", where))
            actions.append(Sql(f"SET max_parallel_maintenance_workers = {found.parallel_workers}", where))
            serves = _serves(context, self.app, found)
            actions.extend(Sql(sql, where) for sql in found.statements(concurrently=serves))
            if serves:
                actions.append(Remark(f"{found.column.table} serves traffic: it can be written to meanwhile."))
        return Preview(
            title=self.title,
            target=where,
            verb="Build it" if any(isinstance(action, Sql) for action in actions) else "Go on without an index",
            undo=self.undo_note,
            actions=tuple(actions) or (Remark("No moved table has a vector column: nothing to build."),),
        )

    async def apply(self, context: Context) -> None:
        """Build what is not there yet."""
        from tekup_migrate.postgres.vector_index import build

        target = context.plan.project_id("target")
        for found in await recommended(context, self.app):
            async with connected(context, target) as connection, connected(context, target) as watcher:
                work = build(
                    connection,
                    found,
                    record=self._recorder(context),
                    listen=context.listen,
                    watcher=watcher,
                    concurrently=_serves(context, self.app, found),
                )
                await context.gate.guard(work)

    def _recorder(self, context: Context) -> _Recorder:
        return _Recorder(context, self.id)

    async def verify(self, context: Context) -> Evidence:
        """Look for a valid index on every column that shall have one."""
        from tekup_migrate.postgres.vector_index import Method

        lines, good = [], True
        found = await recommended(context, self.app)
        async with connected(context, context.plan.project_id("target")) as connection:
            for each in found:
                there = each.method is Method.NONE or await _stands(connection, each)
                good = good and there
                state = "no index wanted" if each.method is Method.NONE else "built" if there else "not there"
                lines.append(f"{column_name(each.column)}: {each.method.value} {each.name} {state}. {each.reason}")
        return Evidence(
            verdict=Verdict.PASSED if good else Verdict.DIFFERS,
            summary=", ".join(f"{column_name(each.column)}: {each.method.value}" for each in found)
            or "no vector columns",
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
            verb="Drop the index" if drops else "Take it back",
            undo="Run the step again: it is built anew.",
            cover=cover_of(context, target),
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
