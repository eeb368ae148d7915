"""Backing a project up, once per run and project, into the run's own folder."""

from __future__ import annotations

from pathlib import Path

from tekup_migrate.phases.access import label_of, url_of
from tekup_migrate.phases.observation import Observation
from tekup_migrate.plan import Phase, Plan
from tekup_migrate.steps import Command, Context, Evidence, Figure, Preview, Remark, Step, Undo, Verdict


class BackUp(Step):
    """Dumps a project's schema ``public`` into a new folder, with every table's digest."""

    undo = Undo.NOTHING
    undo_note = "It writes a new folder and overwrites nothing; the folder is kept."
    why = "Every later step that could lose something names this backup as the way back."

    def __init__(self, plan: Plan, phase: Phase, project: str) -> None:
        title = f"Back up {plan.projects[project].title}"
        super().__init__(id=f"{phase.id}.backup.{project}", phase=phase.id, title=title)
        self.project = project

    async def preview(self, context: Context) -> Preview:
        """Show the command and where the backup goes."""
        root = backups_root(context)
        return Preview(
            title=self.title,
            target=f"{label_of(context, self.project)} → {root}",
            verb="Back up",
            undo=self.undo_note,
            actions=(
                Command(("pg_dump", "--format=directory", "--schema=public", "--snapshot=…"), str(root)),
                Remark("The digest of every table is taken in the same snapshot, to compare a restore with."),
            ),
        )

    async def apply(self, context: Context) -> None:
        """Dump, unless this run has a whole backup of this project already."""
        from tekup_migrate.backup.dump import BackupRequest, backup_project

        if _folder(context, self.project) is not None:
            return
        project = context.project(self.project)
        request = BackupRequest(
            url=url_of(context, self.project),
            password=await context.secrets.password(self.project),
            name=project.backup_name or f"{self.project}-backup",
            ref=project.ref,
        )
        folder, _ = await backup_project(request, backups_root(context), listen=context.listen, gate=context.gate)
        context.memory.remember(_note(self.project), str(folder).encode())

    def forget(self, context: Context) -> None:
        """Let a later sitting back up anew; the folder stays where it is."""
        context.memory.forget(_note(self.project))

    async def verify(self, context: Context) -> Evidence:
        """Read the whole archive back and compare it with its manifest."""
        from tekup_migrate.backup.manifest import Manifest
        from tekup_migrate.backup.verify import verify_archive

        folder = _folder(context, self.project)
        if folder is None:
            return Evidence(verdict=Verdict.UNVERIFIED, summary="there is no whole backup yet")
        findings = await verify_archive(folder)
        manifest = Manifest.load(folder)
        size = f"{manifest.bytes / 1e6:.1f} MB"
        return Evidence(
            verdict=Verdict.DIFFERS if findings else Verdict.PASSED,
            summary=f"{len(manifest.tables)} tables, {manifest.rows:,} rows, {size} in {folder.name}",
            facts=(
                *(str(finding) for finding in findings),
                str(folder),
                "every file equals its SHA-256 in the manifest; pg_restore reads all of it"
                if not findings
                else "do not rely on this backup",
            ),
            figures=(Figure("backup", manifest.bytes, "bytes"),),
        )


class Drill(Observation):
    """Restores a project's backup into a throw-away server and compares every table's digest."""

    why = "A backup counts when it has been restored. What this finds now would otherwise be found on the worst day."

    def __init__(self, plan: Plan, phase: Phase, project: str) -> None:
        title = f"Restore the backup of {plan.projects[project].title} on trial"
        super().__init__(id=f"{phase.id}.drill.{project}", phase=phase.id, title=title)
        self.project = project

    def looks_at(self, context: Context) -> tuple[str, ...]:
        """Say what happens, and how long it may take."""
        return (
            "pg_restore into an empty server on this machine, which is gone afterwards",
            "the digest of every table against what the project held in the backup's snapshot",
            *self._time(context),
        )

    def _time(self, context: Context) -> tuple[str, ...]:
        from tekup_migrate.backup.drill import expected_seconds
        from tekup_migrate.backup.manifest import Manifest

        folder = _folder(context, self.project)
        return (f"about {expected_seconds(Manifest.load(folder)):.0f} s",) if folder else ()

    def target(self, context: Context) -> str:
        """Return the backup's folder."""
        return str(_folder(context, self.project) or backups_root(context))

    async def verify(self, context: Context) -> Evidence:
        """Restore and compare."""
        from tekup_migrate.backup.drill import RestoreTarget, drill, drill_major
        from tekup_migrate.backup.manifest import Manifest
        from tekup_migrate.postgres.dsn import parse_url

        folder = _folder(context, self.project)
        if folder is None:
            return Evidence(verdict=Verdict.UNVERIFIED, summary="there is no whole backup yet")
        async with context.throw_away(drill_major(Manifest.load(folder))) as (url, password):
            target = RestoreTarget(parse_url(url).url, password)
            result = await drill(folder, target, listen=context.listen, gate=context.gate)
        return result.evidence


def backups_root(context: Context) -> Path:
    """Return the folder that holds the run's backups."""
    return context.folder / "backups"


def backup_folders(context: Context) -> tuple[Path, ...]:
    """Return the run's whole backups."""
    folders = (_folder(context, project) for project in context.plan.projects)
    return tuple(folder for folder in folders if folder is not None)


def backup_of(context: Context, project_id: str) -> str:
    """Return how a dialog names the backup that covers a project, or that there is none."""
    from tekup_migrate.backup.manifest import Manifest

    folder = _folder(context, project_id)
    if folder is None:
        return "no backup of it was made in this run"
    return f"{folder} (taken {Manifest.load(folder).ended}; its RESTORE.md has the commands)"


def _folder(context: Context, project: str) -> Path | None:
    kept = context.memory.recall(_note(project))
    folder = Path(kept.decode()) if kept else None
    return folder if folder is not None and folder.is_dir() else None


def _note(project: str) -> str:
    return f"backup:{project}"
