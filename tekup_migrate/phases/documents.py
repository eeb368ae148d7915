"""The documents of the last phase: the decommission plan and the report, in the run's own folder."""

from __future__ import annotations

import datetime as dt
from pathlib import Path

from tekup_migrate.journal import JOURNAL, Journal
from tekup_migrate.phases.covering import backup_folders
from tekup_migrate.phases.env_undo import documented_mentions
from tekup_migrate.phases.rotation import found_leaks
from tekup_migrate.phases.taken_back import edited_since, reverted
from tekup_migrate.plan import Phase, Plan
from tekup_migrate.steps import Context, DiffLine, Evidence, FileChange, Preview, Remark, Step, Undo, Verdict


class _RunDocument(Step):
    """A safe step that writes one new file into the run's folder."""

    undo = Undo.UNDOABLE
    undo_note = "The file is in the run's own folder and can be deleted."
    name = ""

    async def text(self, context: Context) -> str:
        """Return the document."""
        raise NotImplementedError

    def path(self, context: Context) -> Path:
        """Return where the document is written."""
        return context.folder / self.name

    async def preview(self, context: Context) -> Preview:
        """Show the whole document."""
        lines = (await self.text(context)).splitlines()
        shown = tuple(DiffLine("+", 0, number, line) for number, line in enumerate(lines, 1))
        path = str(self.path(context))
        return Preview(
            title=self.title, target=path, verb="Write it", undo=self.undo_note, actions=(FileChange(path, shown),)
        )

    async def apply(self, context: Context) -> None:
        """Write it."""
        path = self.path(context)
        text = context.redact(await self.text(context))
        context.memory.remember(self._written, text.encode())
        path.write_text(text, encoding="utf-8", newline="\n")
        context.ran("file", f"wrote {path.name}", str(path))

    async def preview_revert(self, context: Context) -> Preview:
        """Name the file that is deleted."""
        path = self._unedited(context)
        there = path.exists()
        return Preview(
            title=f"Delete {path.name}",
            target=str(path),
            verb="Delete the file",
            undo="Run the step again: it is written anew.",
            actions=(Remark("The document that this run wrote." if there else "It is gone already."),),
            destroys=(str(path),) if there else (),
        )

    async def revert(self, context: Context) -> None:
        """Delete it, unless somebody edited it since."""
        path = self._unedited(context)
        if path.exists():
            path.unlink()
            context.ran("file", f"deleted {path.name}", str(path))

    async def verify_reverted(self, context: Context) -> Evidence:
        """Look for the file."""
        path = self.path(context)
        return reverted(not path.exists(), f"{path.name} is gone", f"{path} is still there")

    def forget(self, context: Context) -> None:
        """Forget what was written."""
        context.memory.forget(self.id)
        context.memory.forget(self._written)

    @property
    def _written(self) -> str:
        return f"{self.id}:written"

    def _unedited(self, context: Context) -> Path:
        path, written = self.path(context), context.memory.recall(self._written)
        now = path.read_bytes() if path.exists() else None
        if now is not None and written is not None and now != written:
            raise edited_since(path, written, now)
        return path


class Decommission(_RunDocument):
    """Writes the plan for switching the source off."""

    name = "decommission.md"
    why = "The source stays untouched for a while, so that going back stays possible; then somebody must remember."

    def __init__(self, plan: Plan, phase: Phase) -> None:
        title = f"Plan switching off {plan.source.title}"
        super().__init__(id=f"{phase.id}.decommission", phase=phase.id, title=title)

    async def text(self, context: Context) -> str:
        """Return the decommission plan, dated from today or from when it was written first."""
        from tekup_migrate.report.decommission import decommission_plan

        plan = context.plan
        backups = [str(path) for path in backup_folders(context)]
        return decommission_plan(
            plan, self._date(context), backups, await found_leaks(context), documented_mentions(context)
        )

    def _date(self, context: Context) -> dt.date:
        from tekup_migrate.report.decommission import decommission_date

        kept = context.memory.recall(self.id)
        if kept is not None:
            return dt.date.fromisoformat(kept.decode())
        return decommission_date(context.plan, dt.datetime.now(tz=dt.UTC).date())

    async def apply(self, context: Context) -> None:
        """Fix the date and write the plan."""
        context.memory.remember(self.id, self._date(context).isoformat().encode())
        await super().apply(context)

    async def verify(self, context: Context) -> Evidence:
        """Read it back."""
        path = self.path(context)
        date = self._date(context).isoformat()
        written = path.is_file() and date in path.read_text(encoding="utf-8")
        return Evidence(
            verdict=Verdict.PASSED if written else Verdict.DIFFERS,
            summary=f"{context.plan.source.title} may be deleted from {date}" if written else f"{path} is not there",
            facts=(str(path),),
        )


class WriteReport(_RunDocument):
    """Writes the report: the success criteria with their evidence, and every step."""

    name = "report.md"
    why = "What was proved, in one document that needs neither this program nor its journal."

    def __init__(self, plan: Plan, phase: Phase) -> None:
        super().__init__(id=f"{phase.id}.report", phase=phase.id, title="Write the report")

    async def text(self, context: Context) -> str:
        """Return the report as it stands before this very step."""
        from tekup_migrate.phases import steps_of  # the package makes its steps from this module
        from tekup_migrate.report.document import make_report, to_markdown

        journal = Journal.open_existing(context.folder.parent / JOURNAL)
        run = journal.latest_run() if journal else None
        if journal is None or run is None:
            raise ValueError("a step runs within a run that has a journal")
        try:
            return to_markdown(make_report(context.plan, steps_of(context.plan), journal, run))
        finally:
            journal.close()

    async def verify(self, context: Context) -> Evidence:
        """Read it back."""
        path = self.path(context)
        written = path.is_file() and path.stat().st_size > 0
        return Evidence(
            verdict=Verdict.PASSED if written else Verdict.DIFFERS,
            summary=f"written to {path}" if written else f"{path} is not there",
        )
