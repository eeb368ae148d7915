"""The steps of an app whose tables Prisma manages: keep Prisma away from others' tables, generate, push."""

from __future__ import annotations

from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING

import msgspec

from tekup_migrate.errors import MigrationError
from tekup_migrate.phases.access import connected, label_of
from tekup_migrate.phases.answering import run_check
from tekup_migrate.phases.attesting import attest
from tekup_migrate.phases.covering import cover_of, uncovered
from tekup_migrate.phases.restoring import restoring_before
from tekup_migrate.phases.taken_back import edited_since, reverted
from tekup_migrate.phases.target_state import TargetState, changes, target_state
from tekup_migrate.phases.text_diff import text_diff
from tekup_migrate.plan import App, Phase, Plan, Prisma
from tekup_migrate.postgres.quoting import Relation
from tekup_migrate.steps import (
    Action,
    Command,
    Context,
    Danger,
    Evidence,
    FileChange,
    Manual,
    Preview,
    Remark,
    Step,
    Undo,
    Verdict,
)

# An enum that a table uses goes or stays with that table, which is predicted by itself.
_UNUSED_ENUMS = """
    SELECT n.nspname, t.typname
    FROM pg_catalog.pg_type AS t JOIN pg_catalog.pg_namespace AS n ON n.oid = t.typnamespace
    WHERE t.typtype = 'e' AND NOT EXISTS (
        SELECT FROM pg_catalog.pg_attribute AS a JOIN pg_catalog.pg_class AS c ON c.oid = a.attrelid
        WHERE a.atttypid = t.oid AND c.relkind IN ('r', 'p'))
"""

if TYPE_CHECKING:
    from tekup_migrate.apps.prisma import PushPrediction


class _PrismaStep(Step):
    """A step of an app with the trait ``prisma``."""

    name = ""
    verb = ""

    def __init__(self, plan: Plan, phase: Phase) -> None:
        self.app_id = phase.app
        super().__init__(
            id=f"{phase.id}.{self.name}", phase=phase.id, title=self.verb.format(plan.apps[phase.app].title)
        )

    def app(self, context: Context) -> App:
        """Return the app."""
        return context.plan.apps[self.app_id]

    def trait(self, context: Context) -> Prisma:
        """Return the app's trait."""
        trait = self.app(context).prisma
        if trait is None:
            raise ValueError(f"{self.app_id} has no prisma trait")
        return trait

    def config(self, context: Context) -> Path:
        """Return where Prisma looks for the app's config."""
        from tekup_migrate.apps.prisma_config import CONFIG

        return self.app(context).directory / self.trait(context).directory / CONFIG

    async def prediction(self, context: Context) -> PushPrediction:
        """Return what a push would drop now."""
        from tekup_migrate.apps.prisma import Existing, predict_push, read_schema
        from tekup_migrate.apps.prisma_config import external_tables
        from tekup_migrate.postgres.inventory import inventory

        schema = read_schema(self.app(context).directory / self.trait(context).schema)
        async with connected(context, context.plan.project_id("target")) as connection:
            enums = await connection.fetch(_UNUSED_ENUMS)
            places = dict.fromkeys(("public", *schema.schemas))
            tables = [(place, table) for place in places for table in await inventory(connection, place)]
        config = self.config(context)
        external = external_tables(config.read_text(encoding="utf-8")) if config.is_file() else frozenset()
        return predict_push(
            schema,
            tables=[Existing(schema=place, name=table.name, rows=table.rows) for place, table in tables],
            enums=[Existing(schema=row[0], name=row[1]) for row in enums],
            external=external,
        )


class Protect(_PrismaStep):
    """Declares other apps' tables as external in the app's Prisma config."""

    name = "protect"
    verb = "Keep Prisma of {} away from other apps' tables"
    danger = Danger.CAREFUL
    undo = Undo.UNDOABLE
    undo_note = "The new prisma.config.ts is deleted again."
    why = (
        "`prisma db push` drops tables that its schema does not name: empty ones without a word. Listed as external"
        " tables they are left alone."
    )

    async def preview(self, context: Context) -> Preview:
        """Show the new file, or what the operator must put into the one that is there."""
        from tekup_migrate.apps.prisma_config import SINCE

        config, text = self.config(context), await self._text(context)
        note = f"Prisma ORM {SINCE} or newer honours this; older ones ignore it."
        actions: tuple[Action, ...]
        if text is None:
            actions = (Remark("Nothing outside the app's own schema is in reach: nothing to do."),)
        elif config.exists() and context.memory.recall(self.id) is None:
            actions = (Manual(f"Add these tables to {config} yourself:\n{text}"), Remark(note))
        else:
            actions = (FileChange(str(config), text_diff(b"", text.encode())), Remark(note))
        return Preview(
            title=self.title, target=str(config), verb="Write the config", undo=self.undo_note, actions=actions
        )

    async def _text(self, context: Context) -> str | None:
        """Return the config that is needed, or None when nothing is missing from it."""
        from tekup_migrate.apps.prisma_config import new_config

        found = await self.prediction(context)
        if not found.dropped_tables:
            return None
        trait = self.trait(context)
        schema = PurePosixPath(trait.schema).relative_to(trait.directory)
        return new_config(str(schema), {(table.schema, table.name) for table in found.dropped_tables})

    async def apply(self, context: Context) -> None:
        """Write a new config; ask for the operator's hand where there is one already."""
        from tekup_migrate.apps.prisma_config import CONFIG

        config, text = self.config(context), await self._text(context)
        if text is None:
            return
        if config.exists():
            await attest(context, id=self.id, title=self.title, instruction=f"Add these tables to {config}:\n{text}")
            return
        context.memory.remember(self.id, text.encode())
        config.write_text(text, encoding="utf-8", newline="\n")
        context.ran("file", f"wrote {CONFIG}", str(config))

    async def verify(self, context: Context) -> Evidence:
        """Predict a push once more."""
        found = await self.prediction(context)
        lost = [Relation(table.schema, table.name).label for table in found.dropped_tables]
        return Evidence(
            verdict=Verdict.DIFFERS if lost else Verdict.PASSED,
            summary=f"a push would drop {', '.join(lost)}" if lost else "a push would drop no other app's table",
        )

    async def preview_revert(self, context: Context) -> Preview:
        """Show the file that is deleted."""
        config, ours = self._unedited(context)
        change = FileChange(str(config), text_diff(config.read_bytes(), b"")) if ours else None
        return Preview(
            title=f"Delete {config.name} of {self.app(context).title}",
            target=str(config),
            verb="Delete the config",
            undo="Run the step again: it is written anew.",
            actions=(change or Remark("This run wrote no such file, or it is gone: nothing is written."),),
        )

    async def revert(self, context: Context) -> None:
        """Delete the config that this run wrote, unless it was edited since."""
        config, ours = self._unedited(context)
        if ours:
            config.unlink()
            context.ran("file", f"deleted {config.name}", str(config))

    async def verify_reverted(self, context: Context) -> Evidence:
        """Look for the file."""
        config, ours = self._unedited(context)
        return reverted(not ours, f"{config.name} is as it was", f"{config} is still there")

    def forget(self, context: Context) -> None:
        """Forget what was written."""
        context.memory.forget(self.id)

    def _unedited(self, context: Context) -> tuple[Path, bool]:
        """Return the config, and whether it is there and this run's."""
        kept, config = context.memory.recall(self.id), self.config(context)
        if kept is None or not config.exists():
            return config, False
        if config.read_bytes() != kept:
            raise edited_since(config, kept, config.read_bytes())
        return config, True


def own_config(context: Context, app_id: str, app: App) -> tuple[str, ...]:
    """Return the config that this run wrote into an app's repository, relative to it, if it wrote one."""
    from tekup_migrate.apps.prisma_config import CONFIG

    if app.prisma is None:
        return ()
    phases = (phase.id for phase in context.plan.phases if phase.app == app_id)
    written = any(context.memory.recall(f"{phase}.{Protect.name}") is not None for phase in phases)
    return (str(PurePosixPath(app.prisma.directory) / CONFIG),) if written else ()


class Generate(_PrismaStep):
    """Generates the app's Prisma client."""

    name = "generate"
    verb = "Generate the Prisma client of {}"
    danger = Danger.CAREFUL
    undo_note = "Nothing to undo: the client is generated from the schema at any time."
    why = "The app runs with the client that was generated last."

    async def preview(self, context: Context) -> Preview:
        """Show the command and what it leads to."""
        from tekup_migrate.apps.package_scripts import read_command

        app, argv = self.app(context), self.trait(context).generate
        reading = read_command(argv, root=app.directory)
        return Preview(
            title=self.title,
            target=str(app.directory),
            verb="Generate",
            undo=self.undo_note,
            actions=(
                Command(argv, str(app.directory)),
                *(Remark(f"{script.package.name}: {script.name} = {script.text}") for script in reading.scripts),
            ),
        )

    async def apply(self, context: Context) -> None:
        """Run it."""
        context.memory.remember(
            self.id, (await run_check(context, self.app(context), self.trait(context).generate)).encode()
        )

    def forget(self, context: Context) -> None:
        """Forget that it was generated."""
        context.memory.forget(self.id)

    async def verify(self, context: Context) -> Evidence:
        """Read the schema; the command's own success is all there is to see of the client."""
        from tekup_migrate.apps.prisma import read_schema

        said = context.memory.recall(self.id)
        schema = read_schema(self.app(context).directory / self.trait(context).schema)
        return Evidence(
            verdict=Verdict.PASSED if said else Verdict.UNVERIFIED,
            summary=f"{len(schema.models)} models" if said else "the command has not ended well yet",
            facts=(said.decode(),) if said else (),
        )


class Push(_PrismaStep):
    """Pushes the app's Prisma schema to the target, only when nothing of others can be lost."""

    name = "push"
    verb = "Push the Prisma schema of {}"
    danger = Danger.DESTRUCTIVE
    undo = Undo.RESTORABLE
    undo_note = "From the target's backup; a push itself cannot be taken back."
    why = "`prisma db push` makes the database what the schema says. What it would drop is predicted first."

    async def preview(self, context: Context) -> Preview:
        """Predict, and refuse where anything would be dropped."""
        from tekup_migrate.apps.package_scripts import read_command

        app, argv = self.app(context), self.trait(context).push
        reading, found = read_command(argv, root=app.directory), await self.prediction(context)
        target = context.plan.project_id("target")
        _refuse_losses(" ".join(argv), reading.data_loss, found)
        created = ", ".join(f"{schema}.{name}" for schema, name in found.created_tables) or "nothing"
        unsure = (
            ()
            if reading.conclusive
            else (Remark("What the command runs could not be read from package.json: no script names prisma.", True),)
        )
        return Preview(
            title=self.title,
            target=label_of(context, target),
            verb="Push the schema",
            undo=self.undo_note,
            cover=cover_of(context, target),
            actions=(
                *uncovered(context, target),
                *unsure,
                Command(argv, str(app.directory)),
                *(Remark(f"{script.package.name}: {script.name} = {script.text}") for script in reading.scripts),
                Remark(f"Predicted: creates {created}; drops nothing."),
            ),
            world=tuple(f"{schema}.{name}" for schema, name in found.created_tables),
        )

    async def apply(self, context: Context) -> None:
        """Count every table, push."""
        async with connected(context, context.plan.project_id("target")) as connection:
            state = await target_state(context, connection)
        if context.memory.recall(self.id) is None:
            context.memory.remember(self.id, msgspec.json.encode(state))
        await run_check(context, self.app(context), self.trait(context).push)

    async def verify(self, context: Context) -> Evidence:
        """Look whether every table and row that was there before still is, and every model has its table."""
        kept = context.memory.recall(self.id)
        if kept is None:
            return Evidence(verdict=Verdict.UNVERIFIED, summary="not pushed yet")
        async with connected(context, context.plan.project_id("target")) as connection:
            now = (await target_state(context, connection)).tables
        before = msgspec.json.decode(kept, type=TargetState).tables
        lost = [
            f"{name}: {rows} → {now.get(name, 'gone')}" for name, rows in before.items() if now.get(name, -1) < rows
        ]
        missing = (await self.prediction(context)).created_tables
        return Evidence(
            verdict=Verdict.DIFFERS if lost or missing else Verdict.PASSED,
            summary=f"{len(lost)} tables lost rows, {len(missing)} models have no table"
            if lost or missing
            else f"all {len(before)} tables are there with all their rows",
            facts=(*lost, *(f"{schema}.{name} is missing" for schema, name in missing)),
        )

    async def left_behind(self, context: Context) -> tuple[str, ...]:
        """Name what the target's catalog has otherwise than before the push, and the backup that covers it."""
        kept = context.memory.recall(self.id)
        if kept is None:
            return ()
        target = context.plan.project_id("target")
        async with connected(context, target) as connection:
            return changes(msgspec.json.decode(kept, type=TargetState), await target_state(context, connection))

    async def last_resort(self, context: Context) -> Step | None:
        """Return the restore of the target as it was right before the push."""
        return restoring_before(context, context.plan.project_id("target"), phase=self.phase)

    async def preview_revert(self, context: Context) -> Preview:
        """Say that there is nothing to take back; a push that changed something is never undone by this program."""
        return Preview(
            title=f"Undo: {self.title}",
            target=label_of(context, context.plan.project_id("target")),
            verb="Go on",
            undo="Run the step again.",
            actions=(Remark("Every object of the target is as it was before the push: nothing is run."),),
        )

    async def verify_reverted(self, context: Context) -> Evidence:
        """Compare the target's catalog with what it was before the push."""
        left = await self.left_behind(context)
        return reverted(not left, "the target's schema is as it was before the push", "; ".join(left))

    def forget(self, context: Context) -> None:
        """Forget what was there before."""
        context.memory.forget(self.id)


def _refuse_losses(command: str, flags: tuple[str, ...], found: PushPrediction) -> None:
    from tekup_migrate.apps.prisma_config import CONFIG, SINCE

    if found.safe and not flags:
        return
    going = (*found.dropped_tables, *found.dropped_enums)
    lost = ", ".join(Relation(thing.schema, thing.name).label for thing in going)
    raise MigrationError(
        "The Prisma push would lose data",
        happened=f"`{command}` has {' '.join(flags)} baked in." if flags else f"`{command}` would drop {lost}.",
        unchanged="Nothing was pushed.",
        remedy="Take the flag out of the package script, and list other apps' tables under tables.external in"
        f" {CONFIG} ({SINCE} or newer) or move them to a schema of their own; or skip this step with a reason.",
    )
