"""The commands about backups: list them, prove them, and restore one as the last resort."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from msgspec import Struct

from tekup_migrate.errors import MigrationError, PlanError
from tekup_migrate.events import Event, Progress, Ran, StepChanged, StepState
from tekup_migrate.phases.restoring import RestoreBackup, RestoreTable
from tekup_migrate.plan import Plan
from tekup_migrate.sitting import RESTORES, Opening, Sitting
from tekup_migrate.steps import Operator, Step, Verdict
from tekup_migrate.walk import Ending, Outcome

if TYPE_CHECKING:
    from tekup_migrate.postgres.quoting import Relation

PASSED, DIFFERS = 0, 1
_EVERY_SECONDS = 5.0


class BackupStatus(Struct, frozen=True, kw_only=True):
    """One backup as ``backups`` shows it; ``findings`` is None where it was not verified."""

    folder: str
    project: str
    taken: str
    server_version: str
    tables: int
    rows: int
    bytes: int
    sealed: bool
    findings: tuple[str, ...] | None = None


async def backup_statuses(plan: Plan, folders: Sequence[Path], *, verify: bool) -> tuple[BackupStatus, ...]:
    """Return what is known of backups; with ``verify``, every byte of them is read.

    Raises:
        MigrationError: a folder is no backup.
    """
    from tekup_migrate.backup.manifest import Manifest
    from tekup_migrate.backup.verify import verify_archive

    titles = {project.ref: project.title for project in plan.projects.values()}
    found = []
    for folder in folders:
        manifest = Manifest.load(folder)
        status = BackupStatus(
            folder=str(folder),
            project=titles.get(manifest.ref, manifest.ref),
            taken=manifest.snapshot_at,
            server_version=manifest.server_version,
            tables=len(manifest.tables),
            rows=manifest.rows,
            bytes=manifest.bytes,
            sealed=bool(manifest.sealed_for),
            findings=tuple(map(str, await verify_archive(folder))) if verify else None,
        )
        found.append(status)
    return tuple(found)


def backups_of(plan: Plan, state: Path) -> tuple[Path, ...]:
    """Return every finished backup that the runs of a plan have made, the oldest first within each run."""
    from tekup_migrate.backup.catalogue import finished_backups

    roots = sorted([*state.glob(f"{plan.id}/*/backups"), *state.glob(f"{RESTORES}/{plan.id}/*/backups")])
    return tuple(backup.folder for root in roots for backup in finished_backups(root))


def backup_lines(statuses: Sequence[BackupStatus]) -> Iterator[str]:
    """Yield backups as text."""
    if not statuses:
        yield "No backup yet. The setup phase of a run makes them."
    for status in statuses:
        sealed = ", sealed" if status.sealed else ""
        yield f"{status.project}  {status.taken}  Postgres {status.server_version}"
        yield f"  {status.tables} tables, {status.rows:,} rows, {status.bytes / 1e6:.1f} MB{sealed}"
        yield f"  {status.folder}"
        if status.findings is not None:
            yield from (f"  ✗ {finding}" for finding in status.findings or ())
            yield "  do not rely on it" if status.findings else "  every file is as it was written"


async def drill_folder(opening: Opening, operator: Operator, folder: Path, write: Callable[[str], None]) -> int:
    """Restore a backup on trial into a throw-away server, and say what was found; 0 only when all of it came back.

    Raises:
        MigrationError: the backup is damaged, of no project of the plan, or its key is not at hand.
    """
    from tekup_migrate.phases.backing_up import drill_backup

    async with opening(operator, ProgressPrinter(write)) as sitting:
        context = sitting.context
        owner = _owner(context.plan, folder)
        evidence = await drill_backup(context, folder, await context.secrets.backup_key(owner))
    write("\n".join((f"{evidence.verdict.value}: {evidence.summary}", *evidence.facts)))
    return PASSED if evidence.verdict is Verdict.PASSED else DIFFERS


async def restore(
    opening: Opening,
    operator: Operator,
    folder: Path,
    write: Callable[[str], None],
    *,
    role: str,
    table: Relation | None = None,
    new_name: str = "",
) -> int:
    """Restore a backup over the project with a role, or one table of it under a new name; 0 when it is all there.

    Raises:
        MigrationError: it could not be restored, or nothing could be opened.
    """
    async with opening(operator, ProgressPrinter(write)) as sitting:
        step = restoring_step(sitting.plan, folder, role=role, table=table, new_name=new_name)
        outcome, wrong = await carry_out_restore(sitting, step)
        entry = sitting.journal.latest(sitting.run.id).get(step.id)
        if entry is not None and entry.evidence is not None:
            write("\n".join((f"{entry.evidence.verdict.value}: {entry.evidence.summary}", *entry.evidence.facts)))
    if outcome.error is not None:
        raise outcome.error
    if wrong:
        write(f"These steps of the run no longer hold, and are carried out again on resuming: {', '.join(wrong)}")
    if outcome.ending is not Ending.FINISHED:
        write(f"Nothing was restored: {outcome.ending.value}." if outcome.ending is not Ending.DIFFERS else "")
    return PASSED if outcome.ending is Ending.FINISHED else DIFFERS


def table_named(text: str | None, new_name: str | None) -> Relation | None:
    """Return the table that ``--table`` names, in ``public`` unless it says otherwise; None where none is named.

    Raises:
        MigrationError: only one of a table and its new name is given.
    """
    from tekup_migrate.postgres.quoting import Relation

    if bool(text) != bool(new_name):
        raise MigrationError(
            "A table is restored under a new name",
            happened="Only one of --table and --as was given.",
            unchanged="Nothing was restored.",
            remedy="Give both, such as `--table public.notes --as notes_of_monday`; or neither, for all of it.",
        )
    if not text:
        return None
    schema, dot, name = text.partition(".")
    return Relation(schema, name) if dot else Relation("public", text)


def restoring_step(
    plan: Plan, folder: Path, *, role: str, table: Relation | None = None, new_name: str = "", phase: str = ""
) -> Step:
    """Return the step that restores a backup, or one of its tables, into the project with a role."""
    project, phase = plan.project_id(role), phase or plan.phases[0].id
    if table is not None:
        return RestoreTable(project, folder, table, new_name, phase=phase)
    return RestoreBackup(project, folder, phase=phase, title=plan.projects[project].title)


async def carry_out_restore(sitting: Sitting, step: Step) -> tuple[Outcome, tuple[str, ...]]:
    """Carry a restore out, then look again at the run's steps; return the ids of those that no longer hold."""
    outcome = await sitting.runner.carry_out(step)
    if outcome.ending is not Ending.FINISHED or not isinstance(step, RestoreBackup):
        return outcome, ()
    return outcome, await sitting.runner.look_again(f"{step.title}: what this step did is no longer there")


def _owner(plan: Plan, folder: Path) -> str:
    from tekup_migrate.backup.manifest import Manifest

    ref = Manifest.load(folder).ref
    owner = next((name for name, project in plan.projects.items() if project.ref == ref), "")
    if not owner:
        raise PlanError(
            f"{folder.name} is a backup of no project of this plan",
            happened=f"It is of the project {ref or 'without a name'}.",
            unchanged="Nothing was restored.",
            remedy="Name the plan that it belongs to with --plan.",
        )
    return owner


class ProgressPrinter:
    """Prints how far something slow is, every five seconds, and how it ended."""

    def __init__(self, write: Callable[[str], None], *, now: Callable[[], float] = time.monotonic) -> None:
        self._write = write
        self._now = now
        self._began: dict[str, float] = {}
        self._told = now()

    def __call__(self, event: Event) -> None:
        """Take an event."""
        if isinstance(event, StepChanged) and event.state in (StepState.APPLYING, StepState.VERIFYING):
            self._write(f"{event.state.value} …")
        elif isinstance(event, Ran) and event.kind == "note":
            self._write(event.text)
        elif isinstance(event, Progress) and event.total:
            self._tell(event)

    def _tell(self, event: Progress) -> None:
        now = self._now()
        began = self._began.setdefault(event.label, now)
        if now - self._told < _EVERY_SECONDS or event.done >= event.total:
            return
        self._told = now
        rate = event.done / (now - began) if now > began else 0.0
        left = f", about {(event.total - event.done) / rate:.0f} s left" if rate else ""
        self._write(f"  {event.label}: {event.done:,} of {event.total:,} {event.unit}{left}")
