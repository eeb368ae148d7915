"""The last resort: a backup over the live database, all or nothing; and single tables of one under a new name."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import msgspec

from tekup_migrate.errors import MigrationError, WorldChangedError
from tekup_migrate.loopback import is_loopback
from tekup_migrate.phases.access import connected, label_of, url_of
from tekup_migrate.phases.backing_up import opening_remarks, request_of
from tekup_migrate.phases.covering import backup_before, backups_root, cover_of
from tekup_migrate.questions import Option, Question
from tekup_migrate.steps import (
    Command,
    Context,
    Danger,
    DeclinedError,
    Evidence,
    Figure,
    Preview,
    Remark,
    Step,
    Undo,
    Verdict,
)

if TYPE_CHECKING:
    from tekup_migrate.backup.manifest import Manifest
    from tekup_migrate.backup.restore import TableChange
    from tekup_migrate.postgres.quoting import Relation

_BEFORE = "-before-restore"


def restoring_before(context: Context, project_id: str, *, phase: str) -> Step | None:
    """Return the step that restores a project as it was before a phase, or None where nothing was backed up."""
    folder = backup_before(context, project_id, phase)
    title = context.project(project_id).title
    return RestoreBackup(project_id, folder, phase=phase, title=title) if folder is not None else None


class RestoreBackup(Step):
    """Replaces what a backup holds in a live database by the backup, in one transaction."""

    danger = Danger.DESTRUCTIVE
    undo = Undo.RESTORABLE
    undo_note = "From the backup of the present state that is taken right before."
    why = (
        "The last resort. Everything that the backup holds becomes what it was then, and what was written since is"
        " gone; what the backup does not hold stays. A failure or a pause leaves the database as it is now."
    )

    def __init__(self, project: str, folder: Path, *, phase: str, title: str) -> None:
        super().__init__(id=f"restore.{project}", phase=phase, title=f"Restore {title} from {folder.name}")
        self.project = project
        self.folder = folder

    async def preview(self, context: Context) -> Preview:
        """Count, table by table, what was written since the backup and would be lost."""
        manifest = await _fitting(context, self.folder, self.project)
        changes = await self._changes(context)
        losing = [change for change in changes if change.loses]
        staying = [change for change in changes if not change.loses]
        return Preview(
            title=self.title,
            target=label_of(context, self.project),
            verb="Restore the backup",
            undo=self.undo_note,
            cover=cover_of(context, self.project),
            actions=(
                *_origin(manifest, url_of(context, self.project).host),
                *opening_remarks(manifest),
                Remark("First the present state is backed up, so that what is lost here can still be found."),
                Command(("pg_restore", "--clean", "--if-exists", str(self.folder)), "one transaction, through psql"),
                Remark("At the end every table is compared with the backup by digest."),
                *((Remark("\n".join(map(str, staying))),) if staying else ()),
            ),
            destroys=tuple(str(change) for change in losing),
            typed_name=context.project(self.project).title if losing else "",
            world=tuple(f"{change.table} {change.digest}" for change in changes),
        )

    async def _changes(self, context: Context) -> tuple[TableChange, ...]:
        from tekup_migrate.backup.restore import changes_since

        password = await context.secrets.password(self.project)
        url = url_of(context, self.project)
        return await changes_since(self.folder, url, password, listen=context.listen, gate=context.gate)

    async def apply(self, context: Context) -> None:
        """Back the present state up, then restore; refuse when rows were written between the two."""
        from tekup_migrate.backup.restore import restore_in_place
        from tekup_migrate.backup.sealing import opened_backup

        confirmed = await self._changes(context)
        await self._keep_the_present(context)
        key = await context.secrets.backup_key(self.project)
        password, url = await context.secrets.password(self.project), url_of(context, self.project)
        async with opened_backup(self.folder, key) as opened:
            counted = await self._changes(context)
            if counted != confirmed:
                raise WorldChangedError(
                    "Rows were written meanwhile",
                    happened=f"{context.project(self.project).title} changed while its present state was backed up.",
                    unchanged="Nothing was restored.",
                    remedy="Stop whatever writes to it (apps, workers, scheduled jobs), then try again.",
                )
            done = await restore_in_place(
                opened, url, password, listen=context.listen, gate=context.gate, counted=counted
            )
        context.memory.remember(self.id, msgspec.json.encode(done.left_alone))

    async def _keep_the_present(self, context: Context) -> None:
        from tekup_migrate.backup.dump import backup_project

        try:
            request = await request_of(context, self.project, suffix=_BEFORE)
            await backup_project(request, backups_root(context), listen=context.listen, gate=context.gate)
        except MigrationError as error:
            if await context.operator.choose(_without(error)) != "without":
                raise DeclinedError from error

    async def verify(self, context: Context) -> Evidence:
        """Compare every table with the backup, by digest."""
        from tekup_migrate.backup.manifest import Manifest
        from tekup_migrate.backup.trial import compare_table

        manifest = Manifest.load(self.folder)
        async with connected(context, self.project) as connection:
            found = [await compare_table(connection, table) for table in manifest.tables]
        wrong = [f"{each.expected.label}: is not as in the backup" for each in found if not each.equal]
        rows = sum(each.rows for each in found)
        left = msgspec.json.decode(context.memory.recall(self.id) or b"[]", type=tuple[str, ...])
        return Evidence(
            verdict=Verdict.DIFFERS if wrong else Verdict.PASSED,
            summary=f"{len(wrong)} of {len(found)} tables are not as in {self.folder.name}"
            if wrong
            else f"{len(found)} tables, {rows:,} rows equal {self.folder.name}",
            facts=(
                *wrong,
                *(f"{each.expected.label}: {each.rows:,} rows, equal" for each in found if each.equal),
                *(f"left as it was, it belongs to a role we are not: {entry}" for entry in left),
            ),
            figures=(Figure("rows restored", rows, "rows"),),
        )


class RestoreTable(Step):
    """Restores one table of a backup beside the live ones, under a new name; nothing is replaced."""

    danger = Danger.CAREFUL
    undo = Undo.NOTHING
    undo_note = "Drop the new table when it is not needed any more."
    why = "To look into a table as it was, or to take single rows out of it, without touching the live one."

    def __init__(self, project: str, folder: Path, table: Relation, new_name: str, *, phase: str) -> None:
        super().__init__(id=f"restore.{project}.{new_name}", phase=phase, title=f"Restore {table} as {new_name}")
        self.project = project
        self.folder = folder
        self.table = table
        self.new_name = new_name

    async def preview(self, context: Context) -> Preview:
        """Say what is made, and what it will not have.

        Raises:
            MigrationError: the backup is damaged or of no project of the plan, or the new name is taken.
        """
        manifest = await _fitting(context, self.folder, "")
        await self._refuse_taken_name(context)
        content = manifest.table(self.table.schema, self.table.name)
        rows = f"{content.rows:,} rows" if content else "not in the backup"
        return Preview(
            title=self.title,
            target=f"{label_of(context, self.project)}, new table {self.table.schema}.{self.new_name}",
            verb="Restore the table",
            undo=self.undo_note,
            actions=(
                *_origin(manifest, url_of(context, self.project).host),
                *opening_remarks(manifest),
                Remark(f"{self.table}, {rows}, from {self.folder}"),
                Remark("It gets columns and rows; no keys, indexes or policies. Row-level security is enabled on it."),
            ),
        )

    async def _refuse_taken_name(self, context: Context) -> None:
        from tekup_migrate.postgres.quoting import Relation

        new = Relation(self.table.schema, self.new_name)
        async with connected(context, self.project) as connection:
            taken = await connection.fetchval("SELECT pg_catalog.to_regclass($1) IS NOT NULL", new.sql)
        if taken:
            raise MigrationError(
                f"There is a {new} already",
                happened=f"{context.project(self.project).title} has something of that name, and nothing is replaced.",
                unchanged="Nothing was restored.",
                remedy="Drop or rename it, or name another with `tekup-migrate restore … --table … --as NEW`.",
            )

    async def apply(self, context: Context) -> None:
        """Restore it, in one transaction."""
        from tekup_migrate.backup.manifest import Manifest
        from tekup_migrate.backup.restore import restore_table
        from tekup_migrate.backup.sealing import opened_backup

        owner = _owner(context, Manifest.load(self.folder))
        key = await context.secrets.backup_key(owner) if owner else None
        password, url = await context.secrets.password(self.project), url_of(context, self.project)
        async with opened_backup(self.folder, key) as opened:
            await restore_table(
                opened, self.table, self.new_name, url, password, listen=context.listen, gate=context.gate
            )

    async def verify(self, context: Context) -> Evidence:
        """Compare the new table with the backup's, by digest."""
        from tekup_migrate.backup.manifest import Manifest
        from tekup_migrate.backup.trial import compare_table

        content = Manifest.load(self.folder).table(self.table.schema, self.table.name)
        if content is None:
            return Evidence(verdict=Verdict.UNVERIFIED, summary=f"the backup does not hold {self.table}")
        async with connected(context, self.project) as connection:
            found = await compare_table(connection, msgspec.structs.replace(content, name=self.new_name))
        return Evidence(
            verdict=Verdict.PASSED if found.equal else Verdict.DIFFERS,
            summary=f"{self.table.schema}.{self.new_name}: {found.rows:,} rows"
            + (", equal to the backup's" if found.equal else f" instead of {content.rows:,}"),
        )


async def _fitting(context: Context, folder: Path, project_id: str) -> Manifest:
    """Return the manifest of a whole backup that may go into a project; with no project, of any of the plan's.

    Raises:
        MigrationError: it is damaged or somebody else's, or a rehearsal's that would go over something real.
    """
    from tekup_migrate.backup.verify import require_whole

    manifest = await require_whole(folder, rows=False)
    wanted = [context.project(project_id).ref] if project_id else [each.ref for each in context.plan.projects.values()]
    if manifest.ref not in wanted:
        raise _foreign(folder, f"It is a backup of the project {manifest.ref or 'of no name'}, not of {wanted[0]}.")
    if project_id and is_loopback(manifest.host) and not url_of(context, project_id).is_loopback:
        raise _foreign(folder, f"It was taken from {manifest.host}, a rehearsal on this machine.")
    return manifest


def _foreign(folder: Path, happened: str) -> MigrationError:
    return MigrationError(
        f"{folder.name} is not a backup of this project",
        happened=happened,
        unchanged="Nothing was restored.",
        remedy="Name a backup of this very project; `tekup-migrate backups` lists them with their projects.",
    )


def _owner(context: Context, manifest: Manifest) -> str:
    return next((name for name, project in context.plan.projects.items() if project.ref == manifest.ref), "")


def _origin(manifest: Manifest, host: str) -> tuple[Remark, ...]:
    taken = f"The backup holds what was committed before {manifest.snapshot_at}: Postgres {manifest.server_version}."
    moved = f"It was taken at {manifest.host}, and goes to {host}."
    return (Remark(taken), *((Remark(moved, warning=True),) if manifest.host != host else ()))


def _without(error: MigrationError) -> Question:
    return Question(
        title="The present state could not be backed up",
        text=f"{error}\n\nWithout that backup, what was written since the older one is lost for good.",
        options=(
            Option("stop", "Stop here", "Nothing is restored; the database stays as it is."),
            Option("without", "Restore without it", "There is no way back from the restore."),
        ),
        safe="stop",
    )
