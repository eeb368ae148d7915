"""Phase kind ``setup``: connect, take stock, back up, and branch the repositories with all work kept safe."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tekup_migrate.errors import WorldChangedError
from tekup_migrate.phases.access import connected, label_of
from tekup_migrate.phases.backing_up import BackUp, Drill
from tekup_migrate.phases.connecting import Connect
from tekup_migrate.phases.groundwork import Groundwork
from tekup_migrate.phases.keys import CheckKeys, needs_keys
from tekup_migrate.phases.observation import Observation
from tekup_migrate.phases.taken_back import reverted
from tekup_migrate.plan import App, Phase, Plan
from tekup_migrate.steps import Action, Command, Context, Danger, Evidence, Figure, Preview, Remark, Step, Undo, Verdict

if TYPE_CHECKING:
    from tekup_migrate.git.branches import BranchRecord
    from tekup_migrate.git.repository import Head


def setup_steps(plan: Plan, phase: Phase) -> tuple[Step, ...]:
    """Return the steps of a setup phase: what is quick to find wrong comes first, then backups, then branches."""
    return (
        *(Connect(plan, phase, project) for project in plan.projects),
        Groundwork(plan, phase),
        *((CheckKeys(plan, phase),) if needs_keys(plan) else ()),
        *(Inventory(plan, phase, project) for project in plan.projects),
        *(step(plan, phase, project) for project in plan.projects for step in (BackUp, Drill)),
        *(Branch(plan, phase, app) for app in plan.apps),
    )


class Inventory(Observation):
    """Lists a project's tables with sizes and counts."""

    why = "What is there now is what must still be there at the end; this is the list to compare with."

    def __init__(self, plan: Plan, phase: Phase, project: str) -> None:
        title = f"List the tables of {plan.projects[project].title}"
        super().__init__(id=f"{phase.id}.inventory.{project}", phase=phase.id, title=title)
        self.project = project

    def looks_at(self, context: Context) -> tuple[str, ...]:
        """Name the schema."""
        return ("Every table of the schema public: rows, bytes, row-level security",)

    def target(self, context: Context) -> str:
        """Return the database's label."""
        return label_of(context, self.project)

    async def verify(self, context: Context) -> Evidence:
        """Count."""
        from tekup_migrate.postgres.inventory import inventory

        async with connected(context, self.project) as connection:
            tables = await inventory(connection)
        rows = sum(table.rows for table in tables)
        size = sum(table.bytes for table in tables)
        return Evidence(
            verdict=Verdict.PASSED,
            summary=f"{len(tables)} tables, {rows:,} rows, {size / 1e6:.1f} MB",
            facts=tuple(
                f"{table.name}: {table.rows:,} rows, {table.bytes / 1e6:.2f} MB,"
                f" row-level security {'on' if table.row_security else 'off'}"
                for table in tables
            ),
            figures=(Figure("tables", len(tables)), Figure("rows", rows), Figure("bytes", size, "bytes")),
        )


class Branch(Step):
    """Puts an app's repository on the plan's branch, with uncommitted work kept exactly as it is."""

    danger = Danger.CAREFUL
    undo = Undo.UNDOABLE
    undo_note = "Back to the branch it was on; the new branch is deleted while it has no commits of its own."
    why = (
        "The run's commits get a branch of their own. Uncommitted work stays in place, and a copy of it is kept"
        " under refs/tekup, where git does not collect it."
    )

    def __init__(self, plan: Plan, phase: Phase, app: str) -> None:
        super().__init__(id=f"{phase.id}.branch.{app}", phase=phase.id, title=f"Branch {plan.apps[app].title}")
        self.app = app

    def _app(self, context: Context) -> App:
        return context.plan.apps[self.app]

    async def preview(self, context: Context) -> Preview:
        """Show the commands and how much uncommitted work is carried along."""
        from tekup_migrate.git.repository import Repository

        app = self._app(context)
        repository = await Repository.open(app.directory)
        head = await repository.head()
        entries = await repository.status()
        untracked = sum(entry.untracked for entry in entries)
        kept = f"refs/tekup/{context.run}"
        work = f"{len(entries) - untracked} changed and {untracked} untracked files stay as they are"
        return Preview(
            title=f"Branch {app.title}",
            target=f"{app.directory}, now on {head.branch or head.sha}",
            verb="Make the branch",
            undo=self.undo_note,
            actions=(
                Command(("git", "update-ref", kept, "<a copy of the uncommitted work>"), str(app.directory)),
                Command(("git", "switch", "--create", context.plan.branch), str(app.directory)),
                Remark(f"{work}; nothing is stashed away, added or committed."),
            ),
            world=(str(head), *(str(entry) for entry in entries)),
        )

    async def apply(self, context: Context) -> None:
        """Keep the work and switch."""
        from tekup_migrate.git.branches import make_branch
        from tekup_migrate.git.repository import Repository

        app = self._app(context)
        repository = await Repository.open(app.directory)
        record = await make_branch(repository, context.plan.branch, run=context.run, existing="use")
        for ref in record.kept.refs:
            context.ran("command", f"git update-ref {ref.name} {ref.sha}", str(app.directory))
        context.ran("command", f"git switch {context.plan.branch}", str(app.directory))

    async def verify(self, context: Context) -> Evidence:
        """Look at HEAD and at the kept work."""
        from tekup_migrate.git.branches import read_record
        from tekup_migrate.git.repository import Repository

        app = self._app(context)
        repository = await Repository.open(app.directory)
        head = await repository.head()
        record = await read_record(repository, context.run)
        on_branch = head.branch == context.plan.branch
        kept = [await repository.ref(ref.name) == ref.sha for ref in record.kept.refs] if record else []
        return Evidence(
            verdict=Verdict.PASSED if on_branch and record is not None and all(kept) else Verdict.DIFFERS,
            summary=f"on {head.branch}" if on_branch else f"on {head.branch or 'no branch'}, not {context.plan.branch}",
            facts=tuple(f"kept as {ref.name}: {ref.sha}" for ref in record.kept.refs) if record else (),
        )

    async def preview_revert(self, context: Context) -> Preview:
        """Show the switch back, and what becomes of the branch and of the kept work."""
        from tekup_migrate.git.branches import own_commits, read_record, refuse_undo
        from tekup_migrate.git.repository import Repository

        app, branch = self._app(context), context.plan.branch
        repository = await Repository.open(app.directory)
        record = await read_record(repository, context.run)
        actions: tuple[Action, ...] = (Remark("The repository is as it was before the run: nothing is run."),)
        if record is not None:
            _refuse_elsewhere(record, await repository.head())
            await refuse_undo(repository, record)
            own = await own_commits(repository, record)
            goes = record.made and not own
            former = record.former.branch or f"--detach {record.former.sha}"
            stays = f"{branch} stays: it has {len(own)} commits of its own" if own else f"{branch} was there before"
            delete = Command(("git", "branch", "-D", branch), str(app.directory))
            actions = (
                Command(("git", "switch", former), str(app.directory)),
                delete if goes else Remark(f"{stays}."),
                Remark("Uncommitted work and the index stay exactly as they are."),
            )
        return Preview(
            title=f"Go back to the former branch of {app.title}",
            target=f"{app.directory}, now on {(await repository.head()).branch}",
            verb="Go back",
            undo="Run the step again: the branch is made anew.",
            actions=actions,
        )

    async def verify_reverted(self, context: Context) -> Evidence:
        """Look at HEAD and at the run's refs."""
        from tekup_migrate.git.branches import own_commits, read_record
        from tekup_migrate.git.repository import Repository

        repository = await Repository.open(self._app(context).directory)
        record, head = await read_record(repository, context.run), await repository.head()
        if record is None:
            return reverted(True, f"on {head.branch or head.sha}, and no ref of this run is left", "")
        back = head == record.former and bool(await own_commits(repository, record))
        return reverted(back, f"on {head.branch}; the branch stays for its commits", f"still on {head.branch}")

    async def revert(self, context: Context) -> None:
        """Go back to the former branch."""
        from tekup_migrate.git.branches import read_record, undo_branch
        from tekup_migrate.git.repository import Repository

        app = self._app(context)
        repository = await Repository.open(app.directory)
        record = await read_record(repository, context.run)
        if record is not None:
            undone = await undo_branch(repository, record)
            context.ran("command", f"git switch {undone.head.branch or undone.head.sha}", str(app.directory))


def _refuse_elsewhere(record: BranchRecord, head: Head) -> None:
    if head.branch in (record.branch, record.former.branch):
        return
    raise WorldChangedError(
        "The repository is on another branch",
        happened=f"HEAD is on {head.branch or head.sha}, neither on {record.branch} nor where it was before the run.",
        unchanged="Nothing was changed.",
        remedy=f"Switch to {record.branch} or to {record.former.branch or record.former.sha}, and try again.",
    )
