"""Which backup covers a project: the newest whole one of the run, its age, and the way back."""

from __future__ import annotations

import shlex
from pathlib import Path

from tekup_migrate.cover import Cover
from tekup_migrate.steps import Context, Remark


def backups_root(context: Context) -> Path:
    """Return the folder that holds the run's backups."""
    return context.folder / "backups"


def backup_folders(context: Context) -> tuple[Path, ...]:
    """Return the run's finished backups, those of each project in the order in which they were taken."""
    return tuple(folder for project in context.plan.projects for folder in _folders_of(context, project))


def newest_backup(context: Context, project_id: str) -> Path | None:
    """Return the newest finished backup of a project in this run, or None."""
    return (None, *_folders_of(context, project_id))[-1]


def backup_note(phase_id: str, project_id: str) -> str:
    """Return the key under which the step that backs a project up in a phase remembers its folder."""
    return f"{phase_id}.backup.{project_id}:folder"


def backup_before(context: Context, project_id: str, phase_id: str) -> Path | None:
    """Return the backup that was taken last before a phase changed a project, or None."""
    ids = [phase.id for phase in context.plan.phases]
    for phase in reversed(ids[: ids.index(phase_id) + 1]):
        kept = context.memory.recall(backup_note(phase, project_id))
        if kept is not None and Path(kept.decode()).is_dir():
            return Path(kept.decode())
    return None


def cover_of(context: Context, project_id: str) -> Cover | None:
    """Return the backup that covers a project, as dialogs name it; None where this run has none."""
    from tekup_migrate.backup.manifest import Manifest

    folder = newest_backup(context, project_id)
    if folder is None:
        return None
    return Cover(
        folder=str(folder),
        taken=Manifest.load(folder).snapshot_at,
        way_back=restoring_command(context, folder, context.project(project_id).role),
    )


def restoring_command(context: Context, folder: Path, role: str) -> str:
    """Return the command that restores a backup, or where the way is described."""
    if not context.called_as:
        return "b in this wizard, or the commands in its RESTORE.md"
    return shlex.join((*context.called_as, "restore", str(folder), "--to", role))


def uncovered(context: Context, project_id: str) -> tuple[Remark, ...]:
    """Return the warning for what would be destroyed without a backup; nothing where there is one."""
    if newest_backup(context, project_id) is not None:
        return ()
    return (Remark(f"This run has no backup of {context.project(project_id).title}.", warning=True),)


def _folders_of(context: Context, project_id: str) -> tuple[Path, ...]:
    from tekup_migrate.backup.catalogue import finished_backups

    project = context.project(project_id)
    found = finished_backups(backups_root(context))
    return tuple(backup.folder for backup in found if backup.manifest.ref == project.ref)
