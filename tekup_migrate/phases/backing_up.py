"""Backing a project up into the run's own folder, and restoring the backup on trial."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec

from tekup_migrate.phases.access import label_of, url_of
from tekup_migrate.phases.covering import backup_note, backups_root
from tekup_migrate.phases.ownership import is_created
from tekup_migrate.phases.resolutions import all_moves
from tekup_migrate.plan import Phase, Plan
from tekup_migrate.questions import Answer
from tekup_migrate.steps import (
    Command,
    Context,
    DeclinedError,
    Evidence,
    Figure,
    Preview,
    Remark,
    SkippedError,
    Step,
    Undo,
    Verdict,
)

if TYPE_CHECKING:
    from tekup_migrate.backup.dump import BackupRequest
    from tekup_migrate.backup.manifest import Manifest
    from tekup_migrate.backup.trial import RestoredTable
    from tekup_migrate.credentials.secret import Secret


class BackUp(Step):
    """Dumps what the plan names of a project into a new folder, with every table's digest."""

    undo = Undo.NOTHING
    undo_note = "It writes a new folder and overwrites nothing; the folder is kept."
    why = "Every later step that could lose something names this backup as the way back."

    def __init__(self, plan: Plan, phase: Phase, project: str, *, title: str = "") -> None:
        title = title or f"Back up {plan.projects[project].title}"
        super().__init__(id=f"{phase.id}.backup.{project}", phase=phase.id, title=title)
        self.project = project

    async def preview(self, context: Context) -> Preview:
        """Show the command and where the backup goes."""
        root, options = backups_root(context), context.plan.backups
        schemas = tuple(f"--schema={name}" for name in _schemas(context, self.project))
        return Preview(
            title=self.title,
            target=f"{label_of(context, self.project)} → {root}",
            verb="Back up",
            undo=self.undo_note,
            actions=(
                Command(("pg_dump", "--format=directory", *schemas, "--snapshot=…"), str(root)),
                Remark("The digest of every table is taken in the same snapshot, to compare a restore with."),
                *((Remark("A plain SQL file is written as well."),) if options.plain else ()),
                *((Remark("The archive is sealed with age."),) if options.encrypt else ()),
            ),
        )

    async def apply(self, context: Context) -> None:
        """Dump, unless this step has made a whole backup already."""
        from tekup_migrate.backup.dump import backup_project

        if self.folder(context) is not None:
            return
        request = await request_of(context, self.project)
        folder, _ = await backup_project(request, backups_root(context), listen=context.listen, gate=context.gate)
        context.memory.remember(self._note, str(folder).encode())

    def forget(self, context: Context) -> None:
        """Let a later sitting back up anew; the folder stays where it is."""
        context.memory.forget(self._note)

    def folder(self, context: Context) -> Path | None:
        """Return the backup that this step made, where it is there."""
        kept = context.memory.recall(self._note)
        folder = Path(kept.decode()) if kept else None
        return folder if folder is not None and folder.is_dir() else None

    @property
    def _note(self) -> str:
        return backup_note(self.phase, self.project)

    async def verify(self, context: Context) -> Evidence:
        """Read the whole archive back and compare it with its manifest."""
        from tekup_migrate.backup.manifest import Manifest
        from tekup_migrate.backup.verify import verify_archive

        folder = self.folder(context)
        if folder is None:
            return Evidence(verdict=Verdict.UNVERIFIED, summary="there is no whole backup yet")
        findings = await verify_archive(folder)
        if findings:
            return Evidence(
                verdict=Verdict.DIFFERS,
                summary=f"{folder.name} is damaged: do not rely on it",
                facts=(*(str(finding) for finding in findings), str(folder)),
            )
        manifest = Manifest.load(folder)
        read = "it is sealed, and can be read by its key only" if manifest.sealed_for else "pg_restore reads all of it"
        return Evidence(
            verdict=Verdict.PASSED,
            summary=f"{len(manifest.tables)} tables, {manifest.rows:,} rows, {manifest.bytes / 1e6:.1f} MB in "
            f"{folder.name}" + (", sealed" if manifest.sealed_for else ""),
            facts=(str(folder), f"every file equals its SHA-256 in the manifest; {read}"),
            figures=(Figure("backup", manifest.bytes, "bytes"),),
        )


class BackUpAgain(BackUp):
    """Backs the target up once more, right before the first step of a phase that could destroy something there."""

    why = (
        "The first backup may be hours or days old by now. This one holds the target as it is right before something"
        " there could be lost."
    )

    def __init__(self, plan: Plan, phase: Phase) -> None:
        project = plan.project_id("target")
        super().__init__(plan, phase, project, title=f"Back up {plan.target.title} again")


class Drill(Step):
    """Restores a project's backup into a throw-away server and compares every table's digest."""

    why = "A backup counts when it has been restored. What this finds now would otherwise be found on the worst day."

    def __init__(self, plan: Plan, phase: Phase, project: str) -> None:
        title = f"Restore the backup of {plan.projects[project].title} on trial"
        super().__init__(id=f"{phase.id}.drill.{project}", phase=phase.id, title=title)
        self.backup = BackUp(plan, phase, project)

    async def preview(self, context: Context) -> Preview:
        """Say what happens, and how long it may take."""
        folder = self.backup.folder(context)
        return Preview(
            title=self.title,
            target=str(folder or backups_root(context)),
            verb="Restore it on trial",
            undo="Nothing to take back: the server it is restored into is gone afterwards.",
            actions=(
                *(self._how_long(context, folder) if folder else ()),
                Remark("pg_restore fills an empty server on this machine, which is gone afterwards."),
                Remark("The digest of every table is compared with what the project held in the backup's snapshot."),
            ),
        )

    def _how_long(self, context: Context, folder: Path) -> tuple[Remark, ...]:
        from tekup_migrate.backup.drill import expected_seconds
        from tekup_migrate.backup.manifest import Manifest

        manifest, proved = Manifest.load(folder), self._proved(context, folder)
        remarks = [f"It takes about {expected_seconds(manifest, proved):.0f} s. A pause keeps what is proved by then."]
        if proved:
            done = f"{len(proved)} of {len(manifest.tables)} tables"
            remarks.append(f"{done} were proved before the pause, and are not proved again.")
        return (*map(Remark, remarks), *opening_remarks(manifest))

    async def apply(self, context: Context) -> None:
        """Ask whether to, then restore and compare what an earlier sitting has not proved yet."""
        from tekup_migrate.backup.proved import proved_note

        folder = self.backup.folder(context)
        if folder is None:
            return
        await self._ask(context)
        key = await context.secrets.backup_key(self.backup.project)
        proved = list(self._proved(context, folder))

        def note(table: RestoredTable) -> None:
            """Keep that a table came back equal."""
            proved.append(table)
            context.memory.remember(self._note, proved_note(folder, proved))

        evidence = await drill_backup(context, folder, key, proved=tuple(proved), note=note)
        context.memory.remember(self.id, msgspec.json.encode(evidence))
        context.memory.forget(self._note)

    def _proved(self, context: Context, folder: Path) -> tuple[RestoredTable, ...]:
        """Return the tables of this very backup that came back equal before a pause or a crash."""
        from tekup_migrate.backup.proved import proved_tables

        return proved_tables(folder, context.memory.recall(self._note))

    @property
    def _note(self) -> str:
        return f"{self.id}:proved"

    async def _ask(self, context: Context) -> None:
        reply = await context.operator.confirm(self, await self.preview(context))
        if reply.answer is Answer.SKIP:
            raise SkippedError(reply.reason)
        if reply.answer is Answer.DECLINE:
            raise DeclinedError

    def forget(self, context: Context) -> None:
        """Forget what was found."""
        context.memory.forget(self.id)
        context.memory.forget(self._note)

    async def verify(self, context: Context) -> Evidence:
        """Return what the drill found, as long as the backup still is what was restored."""
        from tekup_migrate.backup.verify import require_whole

        folder, found = self.backup.folder(context), context.memory.recall(self.id)
        if folder is None or found is None:
            return Evidence(verdict=Verdict.UNVERIFIED, summary="it was not restored on trial to the end yet")
        await require_whole(folder, rows=False)
        return msgspec.json.decode(found, type=Evidence)


def opening_remarks(manifest: Manifest) -> tuple[Remark, ...]:
    """Return what must be said of a sealed backup before it is opened; nothing of an open one."""
    if not manifest.sealed_for:
        return ()
    size = f"{manifest.bytes / 1e6:,.0f} MB"
    return (Remark(f"It is unsealed into a private copy beside it ({size}), which is removed at the end."),)


async def drill_backup(
    context: Context,
    folder: Path,
    key: Secret | None,
    *,
    proved: tuple[RestoredTable, ...] = (),
    note: Callable[[RestoredTable], None] = lambda table: None,
) -> Evidence:
    """Restore a backup, sealed or not, into a throw-away server, and return what was found.

    ``proved`` are its tables that need not be proved again; ``note`` takes each that came back equal.

    Raises:
        MigrationError: the backup is damaged, the key does not open it, or there is no room.
        PauseRequested: a pause was asked for.
    """
    from tekup_migrate.backup.drill import drill, drill_major, server_bytes
    from tekup_migrate.backup.manifest import Manifest
    from tekup_migrate.backup.sealing import opened_backup
    from tekup_migrate.backup.trial import RestoreTarget
    from tekup_migrate.postgres.dsn import parse_url

    manifest = Manifest.load(folder)
    for remark in opening_remarks(manifest):
        context.ran("note", remark.text, str(folder))
    servers = context.throw_away(drill_major(manifest), server_bytes(manifest))
    async with opened_backup(folder, key) as opened, servers as (url, password):
        target = RestoreTarget(parse_url(url).url, password)
        done = await drill(opened, target, listen=context.listen, gate=context.gate, proved=proved, note=note)
        return done.evidence


async def request_of(context: Context, project_id: str, *, suffix: str = "") -> BackupRequest:
    """Return the request for a backup of a project as the plan wants it; ``suffix`` goes to its name.

    Raises:
        MigrationError: the password is not known, or a sealed backup's key could not be kept.
    """
    from tekup_migrate.backup.dump import BackupRequest
    from tekup_migrate.credentials.age import public_part

    project, options = context.project(project_id), context.plan.backups
    key = await context.secrets.backup_key(project_id, make=True) if options.encrypt else None
    return BackupRequest(
        url=url_of(context, project_id),
        password=await context.secrets.password(project_id),
        name=(project.backup_name or f"{project_id}-backup") + suffix,
        ref=project.ref,
        schemas=_schemas(context, project_id),
        sealed_for=public_part(key) if key is not None else "",
        plain=options.plain,
        plain_for=await _target_major(context) if options.plain else 0,
    )


def _schemas(context: Context, project_id: str) -> tuple[str, ...]:
    """Return what is backed up of a project, of the target with the schemas that this run has put tables into."""
    target = project_id == context.plan.project_id("target")
    own = [move.schema for move in all_moves(context) if target and is_created(context, move.place.label)]
    return tuple(dict.fromkeys(("public", *context.project(project_id).backup_schemas, *own)))


async def _target_major(context: Context) -> int:
    from tekup_migrate.phases.access import connected

    async with connected(context, context.plan.project_id("target")) as connection:
        return connection.get_server_version().major
