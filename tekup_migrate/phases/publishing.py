"""README, commit and push: the app's repository says where its data now lives, and its remote knows."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import msgspec

from tekup_migrate.phases.prisma import own_config
from tekup_migrate.phases.text_diff import text_diff
from tekup_migrate.plan import App, Phase, Plan
from tekup_migrate.steps import (
    Command,
    Context,
    Danger,
    Evidence,
    FileChange,
    Preview,
    Remark,
    Step,
    Undo,
    Verdict,
)

if TYPE_CHECKING:
    from tekup_migrate.git.repository import Repository

REMOTE = "origin"


class Readme(Step):
    """Puts a section into an app's README that says where its data lives."""

    danger = Danger.CAREFUL
    undo = Undo.UNDOABLE
    undo_note = "The README's former bytes are put back."
    why = "Whoever opens the repository next must not look for the data in the old project."

    def __init__(self, plan: Plan, phase: Phase, app: str) -> None:
        title = f"Update the README of {plan.apps[app].title}"
        super().__init__(id=f"{phase.id}.readme.{app}", phase=phase.id, title=title)
        self.app = app

    async def preview(self, context: Context) -> Preview:
        """Show the diff."""
        path, before, after = self._change(context)
        return Preview(
            title=self.title,
            target=str(path),
            verb="Write the section",
            undo=self.undo_note,
            actions=(FileChange(str(path), text_diff(before, after)),),
        )

    async def apply(self, context: Context) -> None:
        """Keep the former bytes and write."""
        path, before, after = self._change(context)
        if before == after:
            return
        if context.memory.recall(self.id) is None:
            # A leading byte tells an empty file from one that was not there.
            context.memory.remember(self.id, b"+" + before if path.exists() else b"-")
        path.write_bytes(after)
        context.ran("file", "put the section in", str(path))

    async def verify(self, context: Context) -> Evidence:
        """Look for the section in the file."""
        path, before, after = self._change(context)
        return Evidence(
            verdict=Verdict.PASSED if before == after else Verdict.DIFFERS,
            summary=f"{path.name} names {context.plan.target.ref}"
            if before == after
            else f"{path.name} does not say it",
        )

    async def revert(self, context: Context) -> None:
        """Put the former bytes back."""
        kept = context.memory.recall(self.id)
        path = self._path(context)
        if kept is None:
            return
        if kept == b"-":
            path.unlink(missing_ok=True)
        else:
            path.write_bytes(kept[1:])
        context.ran("file", "put back as it was", str(path))

    def _path(self, context: Context) -> Path:
        app = context.plan.apps[self.app]
        return app.directory / app.readme

    def _change(self, context: Context) -> tuple[Path, bytes, bytes]:
        from tekup_migrate.report.readme import with_section

        path = self._path(context)
        before = path.read_bytes() if path.exists() else b""
        return path, before, with_section(before, readme_lines(context.plan, self.app))


def readme_lines(plan: Plan, app_id: str) -> tuple[str, ...]:
    """Return what an app's README says about where its data lives."""
    app, target = plan.apps[app_id], plan.target
    tables = [move.target for move in plan.moves_of(app_id)] or list(app.tables)
    lines = ["## Database", "", f"The data is in the Supabase project `{target.ref}` ({target.region})."]
    if plan.moves_of(app_id):
        lines[-1] += f" Until the consolidation it was in `{plan.source.ref}` ({plan.source.region})."
    others = [other.title for name, other in plan.apps.items() if name != app_id]
    if others:
        lines.append(f"The project is shared with {', '.join(others)}: a change to its schema concerns them too.")
    if tables:
        lines += ["", "Tables: " + ", ".join(f"`{name}`" for name in tables) + "."]
    lines += ["", "Keys and passwords are in the project's dashboard, not in this repository."]
    return tuple(lines)


class Commit(Step):
    """Commits what the run changed in an app's repository and may be committed, by path."""

    danger = Danger.CAREFUL
    undo = Undo.UNDOABLE
    undo_note = "The commit is taken back while it is not pushed; files and index are as before."
    why = "Only the files that this run wrote are committed. Env files never are, and a secret in one is refused."

    def __init__(self, plan: Plan, phase: Phase, app: str) -> None:
        title = f"Commit in {plan.apps[app].title}"
        super().__init__(id=f"{phase.id}.commit.{app}", phase=phase.id, title=title)
        self.app = app

    async def preview(self, context: Context) -> Preview:
        """Show the command, and what else in the files would go along."""
        from tekup_migrate.git.repository import Repository

        app = context.plan.apps[self.app]
        repository = await Repository.open(app.directory)
        head = await repository.head()
        paths = self._paths(context)
        changed = [entry.path for entry in await repository.status(paths)]
        others = [entry.path for entry in await repository.status() if entry.path not in paths]
        return Preview(
            title=self.title,
            target=f"{app.directory}, branch {head.branch}",
            verb="Commit",
            undo=self.undo_note,
            actions=(
                Command(("git", "commit", "--only", "-m", self._message(context), "--", *changed), str(app.directory)),
                Remark(f"{len(others)} other changed files stay uncommitted, as they are."),
                *await self._own_changes(context, repository),
            ),
            world=(str(head), *changed),
        )

    async def _own_changes(self, context: Context, repository: Repository) -> tuple[Remark, ...]:
        """Say when a file to be committed held uncommitted work before this run wrote to it."""
        app = context.plan.apps[self.app]
        kept = context.memory.recall(f"{self.phase}.readme.{self.app}")
        committed = await repository.read("show", f"HEAD:./{app.readme}", check=False)
        if kept is None or kept == b"-" or committed.exit_code != 0 or kept[1:] == committed.stdout:
            return ()
        return (Remark(f"{app.readme} had uncommitted changes of yours before; they are committed with it.", True),)

    async def apply(self, context: Context) -> None:
        """Commit exactly these paths."""
        from tekup_migrate.credentials.leaks import leaks_in_text
        from tekup_migrate.git.commits import commit_paths
        from tekup_migrate.git.repository import Repository

        app = context.plan.apps[self.app]
        repository = await Repository.open(app.directory)
        paths = self._paths(context)
        record = await commit_paths(
            repository,
            paths,
            self._message(context),
            allowed=paths,
            find=lambda text: leaks_in_text(text, "", context.redactor),
        )
        if record is not None:
            context.memory.remember(self.id, msgspec.json.encode(record))
            context.ran("command", f"git commit --only -- {' '.join(record.paths)} → {record.sha}", str(app.directory))

    async def verify(self, context: Context) -> Evidence:
        """Compare the files with HEAD."""
        from tekup_migrate.git.repository import Repository

        repository = await Repository.open(context.plan.apps[self.app].directory)
        left = [entry.path for entry in await repository.status(self._paths(context))]
        head = await repository.head()
        good = not left and head.branch == context.plan.branch
        return Evidence(
            verdict=Verdict.PASSED if good else Verdict.DIFFERS,
            summary=f"{(head.sha or '')[:12]} on {head.branch}" if good else f"not committed: {', '.join(left)}",
        )

    async def revert(self, context: Context) -> None:
        """Take the commit back."""
        from tekup_migrate.git.commits import CommitRecord, undo_commit
        from tekup_migrate.git.repository import Repository

        kept = context.memory.recall(self.id)
        if kept is not None:
            repository = await Repository.open(context.plan.apps[self.app].directory)
            await undo_commit(repository, msgspec.json.decode(kept, type=CommitRecord))
            context.ran("command", "took the commit back", str(repository.root))

    def _message(self, context: Context) -> str:
        return f"docs: the database moved to Supabase project {context.plan.target.ref}"

    def _paths(self, context: Context) -> tuple[str, ...]:
        app = context.plan.apps[self.app]
        return (app.readme, *own_config(context, self.app, app))


class Push(Step):
    """Pushes the plan's branch to the remote, never by force."""

    danger = Danger.DESTRUCTIVE
    undo = Undo.UNDOABLE
    undo_note = "While nobody else pushed to it, the new branch is deleted from the remote again."
    why = "Others see the branch from then on; a pull request from it is up to you."

    def __init__(self, plan: Plan, phase: Phase, app: str) -> None:
        title = f"Push {plan.apps[app].title}"
        super().__init__(id=f"{phase.id}.push.{app}", phase=phase.id, title=title)
        self.app = app

    async def preview(self, context: Context) -> Preview:
        """Show the remote and the commits."""
        from tekup_migrate.git.push import push_preview
        from tekup_migrate.git.repository import Repository

        app = context.plan.apps[self.app]
        repository = await Repository.open(app.directory)
        outgoing = await push_preview(repository, context.plan.branch, REMOTE)
        commits = tuple(Remark(f"{commit.sha[:12]} {commit.subject}") for commit in outgoing.commits)
        command = ("git", "push", "--set-upstream", REMOTE, context.plan.branch)
        return Preview(
            title=self.title,
            target=f"{outgoing.url}, branch {outgoing.branch}",
            verb="Push the branch",
            undo=self.undo_note,
            actions=(Command(command, str(app.directory)), *(commits or (Remark("Nothing to send."),))),
            world=(outgoing.local_sha, outgoing.remote_sha or ""),
        )

    async def apply(self, context: Context) -> None:
        """Push."""
        from tekup_migrate.git.push import push
        from tekup_migrate.git.repository import Repository

        app = context.plan.apps[self.app]
        repository = await Repository.open(app.directory)
        record = await push(repository, context.plan.branch, REMOTE)
        if context.memory.recall(self.id) is None:
            context.memory.remember(self.id, msgspec.json.encode(record))
        context.ran("command", f"git push --set-upstream {REMOTE} {context.plan.branch}", str(app.directory))

    async def verify(self, context: Context) -> Evidence:
        """Ask the remote where its branch is."""
        from tekup_migrate.git.push import push_preview
        from tekup_migrate.git.repository import Repository

        app: App = context.plan.apps[self.app]
        outgoing = await push_preview(await Repository.open(app.directory), context.plan.branch, REMOTE)
        good = outgoing.up_to_date
        return Evidence(
            verdict=Verdict.PASSED if good else Verdict.DIFFERS,
            summary=f"{outgoing.branch} at {outgoing.local_sha[:12]} on {REMOTE}"
            if good
            else "the remote lacks commits",
            facts=(outgoing.url,),
        )

    async def revert(self, context: Context) -> None:
        """Delete the remote's branch, if it still stands where the push left it."""
        from tekup_migrate.git.push import PushRecord, undo_push
        from tekup_migrate.git.repository import Repository

        kept = context.memory.recall(self.id)
        if kept is not None:
            repository = await Repository.open(context.plan.apps[self.app].directory)
            await undo_push(repository, msgspec.json.decode(kept, type=PushRecord))
            context.ran("command", f"git push --delete {REMOTE} {context.plan.branch}", str(repository.root))
