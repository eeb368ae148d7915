"""Restoring from a backup: which one, all of it or one table, and into what."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from datetime import date

from screens.wording import counted
from tekup_migrate.backup.catalogue import FinishedBackup
from tekup_migrate.cover import age_of
from tekup_migrate.errors import MigrationError
from tekup_migrate.plan import Plan
from tekup_migrate.postgres.quoting import Relation, cut_name
from tekup_migrate.questions import Option, Question
from tekup_migrate.restoration import restoring_step
from tekup_migrate.steps import Step

NOTHING, ALL, ONE, MORE = "", "all", "one", "more"

_TABLES_A_PAGE = 7
"""Nine options have a key of their own; two of them are for none, and for the tables after these."""

_MOST = 8
"""A dialog has few keys, and one of them is for changing nothing."""

NO_BACKUP = "No backup of this run is there yet. The setup phase makes them."


async def chosen_restore(
    backups: Sequence[FinishedBackup], plan: Plan, choose: Callable[[Question], Awaitable[str]], *, phase: str
) -> Step | None:
    """Ask what to restore from which backup; return the step that does it, under a phase, or None for nothing."""
    known = {str(backup.folder): backup for backup in backups}
    backup = known.get(await choose(which_backup(backups, plan)))
    project = next((each for each in plan.projects.values() if backup and each.ref == backup.manifest.ref), None)
    if backup is None or project is None:
        return None
    what = await choose(what_of_it(backup, project.title))
    if what == ALL:
        return restoring_step(plan, backup.folder, role=project.role, phase=phase)
    place, first = NOTHING, 0
    while what == ONE and (place := await choose(which_table(backup, first))) == MORE:
        first += _TABLES_A_PAGE
    if place == NOTHING:
        return None
    content = backup.manifest.tables[int(place) - 1]
    table, new_name = Relation(content.schema, content.name), cut_name(content.name, suffix(backup))
    return restoring_step(plan, backup.folder, role=project.role, table=table, new_name=new_name, phase=phase)


def which_backup(backups: Sequence[FinishedBackup], plan: Plan) -> Question:
    """Return the question which backup to restore, the newest first; an option's id is the backup's folder."""
    titles = {project.ref: project.title for project in plan.projects.values()}
    newest = sorted(backups, key=lambda backup: backup.manifest.snapshot_at, reverse=True)
    options = [Option(NOTHING, "Restore nothing", "Nothing is changed.")]
    for backup in newest[:_MOST]:
        manifest = backup.manifest
        what = f"{counted(len(manifest.tables), 'table')}, {counted(manifest.rows, 'row')}"
        label = f"{titles.get(manifest.ref, manifest.ref)}, {age_of(manifest.snapshot_at)}"
        options.append(Option(str(backup.folder), label, f"{backup.folder.name}: {what}"))
    more = len(newest) - _MOST
    older = f" {counted(more, 'older one')}: `tekup-migrate backups` lists them." if more > 0 else ""
    return Question(
        title="Restore from which backup?",
        text="The last resort, where no step can be taken back any more. The next question is whether all of it is"
        " restored over the live database, or one table beside the live one; nothing is changed before the preview"
        f" is confirmed.{older}",
        options=tuple(options),
        safe=NOTHING,
    )


def what_of_it(backup: FinishedBackup, title: str) -> Question:
    """Return the question whether all of a backup is restored, or one table."""
    return Question(
        title=f"What of {backup.folder.name}?",
        text="What was written since the backup is counted table by table and shown before anything is changed.",
        options=(
            Option(NOTHING, "Restore nothing", "Nothing is changed."),
            Option(ONE, "One table, under a new name", f"Beside the live tables of {title}; nothing is replaced."),
            Option(ALL, f"All of it, over {title}", "What was written since is replaced by what the backup holds."),
        ),
        safe=NOTHING,
    )


def which_table(backup: FinishedBackup, first: int) -> Question:
    """Return the question which table to restore, from the one at ``first``; an option's id is its number, from 1."""
    tables = backup.manifest.tables
    page = tables[first : first + _TABLES_A_PAGE]
    options = [Option(NOTHING, "None: nothing is changed")]
    options += [
        Option(str(n), f"{table.label}, {counted(table.rows, 'row')}") for n, table in enumerate(page, first + 1)
    ]
    left = len(tables) - first - len(page)
    if left > 0:
        options.append(Option(MORE, f"Another one of {left} more …"))
    return Question(
        title="Which table?",
        text=f"It is restored as <name>{suffix(backup)}, with row-level security on.",
        options=tuple(options),
        safe=NOTHING,
    )


def on_failed_restore(error: MigrationError) -> Question:
    """Return what is shown where a restore failed: there is nothing to decide but to read it."""
    return Question(
        title=error.title,
        text=str(error),
        options=(Option(NOTHING, "Go back", "The database is as it was before; b tries again."),),
        safe=NOTHING,
    )


def suffix(backup: FinishedBackup) -> str:
    """Return what the name of a table restored beside the live one ends with: the day of the backup."""
    day = date.fromisoformat(backup.manifest.snapshot_at[:10])
    return f"_of_{day:%Y%m%d}"
