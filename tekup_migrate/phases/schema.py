"""The steps about what hangs on the moved tables: compare, create before the rows, attach after them."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

from tekup_migrate.events import Listener
from tekup_migrate.phases.access import both_connected, connected, label_of
from tekup_migrate.phases.covering import cover_of
from tekup_migrate.phases.made_tables import ask_to_make, look_up_source, undecided
from tekup_migrate.phases.observation import Observation
from tekup_migrate.phases.ownership import forget_created, note_created, refuse_live
from tekup_migrate.phases.resolutions import (
    all_moves,
    forget_resolutions,
    planned_moves,
    read_resolutions,
    read_strings,
)
from tekup_migrate.phases.review import item_line, settle, strings_line
from tekup_migrate.phases.tables import look_up, settled
from tekup_migrate.phases.taken_back import reverted
from tekup_migrate.plan import Phase, Plan
from tekup_migrate.postgres.quoting import Relation
from tekup_migrate.steps import Context, Danger, Evidence, Figure, Preview, Remark, Sql, Step, Undo, Verdict

if TYPE_CHECKING:
    import asyncpg

    from tekup_migrate.postgres.catalog.objects import ObjectKey
    from tekup_migrate.postgres.comparison import Item
    from tekup_migrate.postgres.transplant import Created, Statement, TransplantPlan
    from tekup_migrate.postgres.transplant.applying import Record


async def transplant_of(context: Context, app: str) -> TransplantPlan:
    """Return what is still to be made in the target for an app's moved tables, as the operator decided."""
    from tekup_migrate.postgres.comparison import TableMove
    from tekup_migrate.postgres.transplant import plan_transplant

    async with both_connected(context) as (source, target):
        planned = planned_moves(context, app)
        found = settled(await look_up(context, source, planned))
        every = [*((pair, False) for pair in found.moved), *((pair, True) for pair in found.made)]
        others = {move.planned: move.place for move in all_moves(context) if move.app != app}
        moves = [
            TableMove(each.source, each.target, move.policies, move.floor, made, move.planned, others)
            for (move, each), made in every
        ]
        plan = await plan_transplant(source, target, moves, read_resolutions(context, app), read_strings(context, app))
        return msgspec.structs.replace(plan, remarks=(*found.beside, *plan.remarks))


_LOOK_FOR_IT = "If it was renamed by hand, it stays under its new name."


class Compare(Observation):
    """Compares both catalogs around the moved tables, and asks where a name is taken."""

    why = (
        "A moved table without its function, triggers or grants is a broken app that looks finished. Everything that"
        " hangs on the tables is listed here, each thing with what becomes of it."
    )

    def __init__(self, plan: Plan, phase: Phase) -> None:
        super().__init__(id=f"{phase.id}.compare", phase=phase.id, title="Compare the schemas")
        self.app = phase.app

    def looks_at(self, context: Context) -> tuple[str, ...]:
        """Name the moves."""
        return tuple(f"{' or '.join(move.sources)} → {move.place.label}" for move in planned_moves(context, self.app))

    def target(self, context: Context) -> str:
        """Return both databases' labels."""
        plan = context.plan
        return f"{label_of(context, plan.project_id('source'))} → {label_of(context, plan.project_id('target'))}"

    async def apply(self, context: Context) -> None:
        """Ask about tables that the source lacks and names that are taken, and show the list to be changed."""
        planned = planned_moves(context, self.app)
        await ask_to_make(context, planned)
        if (await look_up_source(context, planned)).absent:
            return
        await settle(context, self.app, lambda: transplant_of(context, self.app))

    def forget(self, context: Context) -> None:
        """Forget what was decided, so that it is asked again."""
        forget_resolutions(context, self.app)

    async def verify(self, context: Context) -> Evidence:
        """List everything with what becomes of it."""
        from tekup_migrate.postgres.comparison import Disposition

        looked = await look_up_source(context, planned_moves(context, self.app))
        if looked.absent:
            return undecided(looked)
        found = await transplant_of(context, self.app)
        counts = {each: sum(item.disposition is each for item in found.items) for each in Disposition}
        told = ", ".join(f"{count} {each.value}" for each, count in counts.items() if count)
        return Evidence(
            verdict=Verdict.DIFFERS if found.conflicts or found.lost else Verdict.PASSED,
            summary=f"cannot be moved: {'; '.join(found.lost)}" if found.lost else told,
            facts=(
                *(_line(item) for item in found.items),
                *(strings_line(item) for item in found.items if item.offer),
                *found.remarks,
            ),
        )


def _line(item: Item) -> str:
    return f"{item.disposition.value}: {item_line(item)}"


class _SchemaStep(Step):
    """A step that makes a group of a transplant's statements in one transaction; ``late`` where the rows are there."""

    danger = Danger.CAREFUL
    undo = Undo.UNDOABLE
    undo_danger = Danger.DESTRUCTIVE
    undo_note = "Exactly what was created is dropped again, never with CASCADE."
    verb = ""
    late = False

    def __init__(self, plan: Plan, phase: Phase, *, name: str, title: str) -> None:
        super().__init__(id=f"{phase.id}.{name}", phase=phase.id, title=title)
        self.app = phase.app

    def group(self, plan: TransplantPlan) -> tuple[Statement, ...]:
        """Return the statements of this step."""
        raise NotImplementedError

    async def make(
        self, connection: asyncpg.Connection, plan: TransplantPlan, record: Record, listen: Listener
    ) -> None:
        """Run the statements of this step in one transaction."""
        raise NotImplementedError

    async def preview(self, context: Context) -> Preview:
        """Show every statement, and every changed body as a diff."""
        from tekup_migrate.postgres.comparison import Disposition

        found = await transplant_of(context, self.app)
        where = label_of(context, context.plan.project_id("target"))
        group = self.group(found)
        stays = found.comparison.with_disposition(Disposition.STAYS)
        return Preview(
            title=self.title,
            target=where,
            verb=self.verb,
            undo=self.undo_note,
            actions=(
                *(Remark(f"Must be decided first: {_line(item)}", True) for item in found.conflicts),
                *(Remark(remark, True) for remark in found.remarks),
                *(Remark(_rename_text(item), bool(item.leftovers)) for item in found.changes),
                *(Remark(_line(item)) for item in stays),
                *(Sql(statement.sql, where) for statement in group),
                *(() if group else (Remark("Everything is there already: nothing is created."),)),
            ),
        )

    async def apply(self, context: Context) -> None:
        """Make it, in one transaction; what was created is on disk in the journal before the commit."""
        from tekup_migrate.postgres.catalog.objects import Kind

        found = await transplant_of(context, self.app)
        before = self._created(context)

        def record(made: tuple[Created, ...]) -> None:
            """Note what is about to be committed, so that a kill right after it finds its own."""
            known = {entry.key for entry in made}
            kept = [*(entry for entry in before if entry.key not in known), *made]
            context.memory.remember(self.id, msgspec.json.encode(kept))
            for entry in made:
                if entry.key.kind is Kind.TABLE:
                    note_created(context, Relation(entry.key.schema, entry.key.name).label)

        async with connected(context, context.plan.project_id("target")) as connection:
            await self.make(connection, found, record, context.listen)

    async def verify(self, context: Context) -> Evidence:
        """Compare the catalogs anew: nothing of this step may be left to do."""
        from tekup_migrate.postgres.catalog.objects import Kind

        found = await transplant_of(context, self.app)
        left = self.group(found)
        made = self._created(context)
        kinds = {kind: sum(entry.key.kind is kind for entry in made) for kind in Kind}
        counts = ", ".join(kind.counted(count) for kind, count in kinds.items() if count)
        floor = [item for item in found.floor if self.late or not item.late]
        wrong = (
            *(_line(item) for item in found.conflicts),
            *(f"still to run: {statement.sql}" for statement in left),
            *(item.line for item in floor if not item.made),
        )
        return Evidence(
            verdict=Verdict.DIFFERS if wrong else Verdict.PASSED,
            summary=f"{len(wrong)} things are not as at the source" if wrong else f"made: {counts or 'nothing new'}",
            facts=wrong or (*(str(entry.key) for entry in made), *(item.line for item in floor)),
            figures=(Figure("objects created", len(made)),),
        )

    async def revert(self, context: Context) -> None:
        """Drop exactly what was created."""
        from tekup_migrate.postgres.transplant import undo as drop_created

        async with connected(context, context.plan.project_id("target")) as connection:
            for sql in await drop_created(connection, self._created(context)):
                context.ran("sql", sql, label_of(context, context.plan.project_id("target")))

    async def preview_revert(self, context: Context) -> Preview:
        """Show every statement, and how many rows go with each table."""
        from tekup_migrate.postgres.transplant import gone_by_hand, undo_plan

        refuse_live(context, self.app)
        target = context.plan.project_id("target")
        where, made = label_of(context, target), self._created(context)
        async with connected(context, target) as connection:
            drops = await undo_plan(connection, made)
            gone = await gone_by_hand(connection, made)
            rows = await _rows_in(connection, made)
        held = tuple(f"{name} with {count:,} rows" for name, count in rows.items() if count)
        return Preview(
            title=f"Drop what “{self.title}” created",
            target=where,
            verb=f"Drop {len(drops)} objects",
            undo="Run the step again: they are created anew from the source.",
            cover=cover_of(context, target),
            actions=(
                *(Remark(f"{entry.key} is not there any more. {_LOOK_FOR_IT}", warning=True) for entry in gone),
                *(Sql(sql, where) for sql in drops),
                *(() if drops else (Remark("Nothing of it is there: nothing is run."),)),
            ),
            destroys=(*held, *(sql.removeprefix("DROP ") for sql in drops)),
            typed_name=context.plan.target.title if held else "",
        )

    async def verify_reverted(self, context: Context) -> Evidence:
        """Look for what was created in the target's catalog."""
        from tekup_migrate.postgres.transplant import still_there

        made = self._created(context)
        async with connected(context, context.plan.project_id("target")) as connection:
            left = tuple(str(entry.key) for entry in await still_there(connection, made))
        return reverted(not left, f"all {len(made)} objects are gone", f"{len(left)} objects remain", facts=left)

    def forget(self, context: Context) -> None:
        """Forget what was created: it is gone again."""
        from tekup_migrate.postgres.catalog.objects import Kind

        for entry in self._created(context):
            if entry.key.kind is Kind.TABLE:
                forget_created(context, Relation(entry.key.schema, entry.key.name).label)
        context.memory.forget(self.id)

    def _created(self, context: Context) -> tuple[Created, ...]:
        return created_by(context, self.id)


def created_by(context: Context, step: str) -> tuple[Created, ...]:
    """Return what a step noted as created by it."""
    from tekup_migrate.postgres.transplant import Created

    kept = context.memory.recall(step)
    return msgspec.json.decode(kept, type=tuple[Created, ...]) if kept else ()


def created_in(context: Context, phase: str) -> frozenset[ObjectKey]:
    """Return the target's keys of everything that a move phase has created."""
    steps = (f"{phase}.create", f"{phase}.attach", f"{phase}.index")
    return frozenset(entry.key for step in steps for entry in created_by(context, step))


def _rename_text(item: Item) -> str:
    """Return how a body follows the renames, and the lines that still say an old name, for the operator to confirm."""
    lines = [f"Follows the rename: {item.name}", *item.diff] if item.diff else [f"Keeps an old name: {item.name}"]
    if item.offer:
        lines += [strings_line(item)]
    if item.leftovers:
        lines += ["Still says an old name, in code, a string or a comment:", *(f"  {line}" for line in item.leftovers)]
    return "\n".join(lines)


async def _rows_in(connection: asyncpg.Connection, made: tuple[Created, ...]) -> dict[str, int]:
    """Count the rows of the created tables that are there."""
    from tekup_migrate.postgres.catalog.objects import Kind

    counts: dict[str, int] = {}
    for entry in made:
        name = Relation(entry.key.schema, entry.key.name)
        if entry.key.kind is Kind.TABLE and await connection.fetchval("SELECT to_regclass($1)", name.sql):
            counts[str(name)] = int(await connection.fetchval(f"SELECT count(*) FROM {name.sql}"))
    return counts


class CreateTables(_SchemaStep):
    """Creates types, tables, keys, row-level security, policies and grants."""

    verb = "Create the tables"
    why = (
        "Tables come first, with their policies and grants, so that no row is ever readable by more people than at the"
        " source. Other indexes and triggers wait until the rows are there."
    )

    def __init__(self, plan: Plan, phase: Phase) -> None:
        super().__init__(plan, phase, name="create", title="Create tables, policies and grants")

    def group(self, plan: TransplantPlan) -> tuple[Statement, ...]:
        """Return what comes before the rows."""
        return plan.before

    async def make(
        self, connection: asyncpg.Connection, plan: TransplantPlan, record: Record, listen: Listener
    ) -> None:
        """Run them."""
        from tekup_migrate.postgres.transplant import apply_before

        await apply_before(connection, plan, record=record, listen=listen)


class Attach(_SchemaStep):
    """Creates indexes, foreign keys, triggers, functions and views, now that the rows are there."""

    verb = "Create the rest"
    late = True
    why = "Indexes build faster on rows that are there, and triggers must not fire on rows that are copied."

    def __init__(self, plan: Plan, phase: Phase) -> None:
        super().__init__(plan, phase, name="attach", title="Create indexes, triggers and functions")

    def group(self, plan: TransplantPlan) -> tuple[Statement, ...]:
        """Return what comes after the rows."""
        return plan.after

    async def make(
        self, connection: asyncpg.Connection, plan: TransplantPlan, record: Record, listen: Listener
    ) -> None:
        """Run them."""
        from tekup_migrate.postgres.transplant import apply_after

        await apply_after(connection, plan, record=record, listen=listen)
