"""Commit and push: what the run wrote in an app's repository is kept, and its remote knows."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

import msgspec

from tekup_migrate.phases.env_undo import rewritten_texts, written_by_us
from tekup_migrate.phases.prisma import own_config
from tekup_migrate.phases.taken_back import reverted
from tekup_migrate.plan import Phase, Plan
from tekup_migrate.steps import Action, Command, Context, Danger, Evidence, Preview, Remark, Step, Undo, Verdict

if TYPE_CHECKING:
    from tekup_migrate.git.commits import CommitRecord
    from tekup_migrate.git.push import PushRecord
    from tekup_migrate.git.repository import Repository

REMOTE = "origin"


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
        paths = self._paths(context, repository)
        changed = [entry.path for entry in await repository.status(paths)]
        others = [entry.path for entry in await repository.status() if entry.path not in paths]
        return Preview(
            title=self.title,
            target=f"{app.directory}, branch {head.branch}",
            verb="Commit",
            undo=self.undo_note,
            actions=(
                Command(
                    ("git", "commit", "--only", "-m", self._message(context), "--", *changed), str(repository.root)
                ),
                Remark(f"{len(others)} other changed files stay uncommitted, as they are."),
                *await self._own_changes(context, repository),
            ),
            world=(str(head), *changed),
        )

    async def _own_changes(self, context: Context, repository: Repository) -> tuple[Remark, ...]:
        """Say when a file to be committed held uncommitted work before this run wrote to it."""
        texts = rewritten_texts(context, self.app)
        own = [text.name for text in texts if text.own_work]
        if await self._readme_had_own(context, repository, {text.name for text in texts}):
            own.append(context.plan.apps[self.app].readme)
        return tuple(
            Remark(f"{name} had uncommitted changes of yours before; they are committed with it.", True)
            for name in dict.fromkeys(own)
        )

    async def _readme_had_own(self, context: Context, repository: Repository, texts: set[str]) -> bool:
        """Whether the README held uncommitted work when this run put its section into it."""
        readme = context.plan.apps[self.app].readme
        kept = context.memory.recall(f"{self.phase}.readme.{self.app}")
        if kept is None or kept == b"-":
            return False
        if readme in texts and await written_by_us(context, self.app, readme) in (kept[1:], None):
            return False
        path = repository.name_of(context.plan.apps[self.app].directory, readme)
        committed = await repository.read("show", f"HEAD:{path}", check=False)
        return committed.exit_code == 0 and kept[1:] != committed.stdout

    async def apply(self, context: Context) -> None:
        """Commit exactly these paths."""
        from tekup_migrate.credentials.leaks import leaks_in_text
        from tekup_migrate.git.commits import commit_paths
        from tekup_migrate.git.repository import Repository

        app = context.plan.apps[self.app]
        repository = await Repository.open(app.directory)
        paths = self._paths(context, repository)
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
        left = [entry.path for entry in await repository.status(self._paths(context, repository))]
        head = await repository.head()
        good = not left and head.branch == context.plan.branch
        return Evidence(
            verdict=Verdict.PASSED if good else Verdict.DIFFERS,
            summary=f"{(head.sha or '')[:12]} on {head.branch}" if good else f"not committed: {', '.join(left)}",
        )

    async def preview_revert(self, context: Context) -> Preview:
        """Show the command that takes the commit back, or say that a revert commit has done so."""
        from tekup_migrate.git.commits import refuse_undo

        app = context.plan.apps[self.app]
        repository, record = await self._made(context)
        actions: tuple[Action, ...] = (Remark("The commit is taken back already: nothing is run."),)
        if record is not None and not await self._taken_back(context, repository, record):
            await refuse_undo(repository, record)
            command = ("git", "update-ref", "HEAD", record.parent or "", record.sha)
            note = "Files on disk are not touched; the index holds for them what it held before."
            actions = (Command(command, str(app.directory)), Remark(note))
        return Preview(
            title=f"Take back the commit in {app.title}",
            target=f"{app.directory}, branch {(await repository.head()).branch}",
            verb="Take it back",
            undo="Run the step again: the same files are committed anew.",
            actions=actions,
        )

    async def revert(self, context: Context) -> None:
        """Take the commit back."""
        from tekup_migrate.git.commits import undo_commit

        repository, record = await self._made(context)
        if record is not None and not await self._taken_back(context, repository, record):
            await undo_commit(repository, record)
            context.ran("command", f"git update-ref HEAD {record.parent} {record.sha}", str(repository.root))

    async def verify_reverted(self, context: Context) -> Evidence:
        """Look whether HEAD still holds the commit, other than under a revert commit."""
        repository, record = await self._made(context)
        gone = record is None or await self._taken_back(context, repository, record)
        return reverted(gone, "the commit is taken back", "the commit is still part of the branch")

    def forget(self, context: Context) -> None:
        """Forget the commit, and the one that took it back."""
        context.memory.forget(self.id)
        context.memory.forget(reverted_note(self.phase, self.app))

    async def _made(self, context: Context) -> tuple[Repository, CommitRecord | None]:
        from tekup_migrate.git.commits import CommitRecord
        from tekup_migrate.git.repository import Repository

        repository = await Repository.open(context.plan.apps[self.app].directory)
        kept = context.memory.recall(self.id)
        return repository, msgspec.json.decode(kept, type=CommitRecord) if kept else None

    async def _taken_back(self, context: Context, repository: Repository, record: CommitRecord) -> bool:
        by_commit = context.memory.recall(reverted_note(self.phase, self.app)) is not None
        return by_commit or (await repository.head()).sha == record.parent

    def _message(self, context: Context) -> str:
        return f"docs: the database moved to Supabase project {context.plan.target.ref}"

    def _paths(self, context: Context, repository: Repository) -> tuple[str, ...]:
        """Return the files that this run wrote, as git names them; the app may be a folder of its repository."""
        app = context.plan.apps[self.app]
        texts = (text.name for text in rewritten_texts(context, self.app))
        names = dict.fromkeys((app.readme, *own_config(context, self.app, app), *texts))
        return tuple(repository.name_of(app.directory, name) for name in names)


class Push(Step):
    """Pushes the plan's branch to the remote, never by force."""

    danger = Danger.DESTRUCTIVE
    undo = Undo.UNDOABLE
    undo_danger = Danger.DESTRUCTIVE
    undo_note = (
        "While nobody else pushed to it, the new branch is deleted from the remote again; otherwise a revert commit"
        " is pushed."
    )
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

        app = context.plan.apps[self.app]
        outgoing = await push_preview(await Repository.open(app.directory), context.plan.branch, REMOTE)
        good = outgoing.up_to_date
        return Evidence(
            verdict=Verdict.PASSED if good else Verdict.DIFFERS,
            summary=f"{outgoing.branch} at {outgoing.local_sha[:12]} on {REMOTE}"
            if good
            else "the remote lacks commits",
            facts=(outgoing.url,),
        )

    async def preview_revert(self, context: Context) -> Preview:
        """Show the deletion of the remote's branch, or the revert commit that is pushed in its place."""
        way = await self._way_back(context)
        app, branch = context.plan.apps[self.app], context.plan.branch
        push = ("git", "push", REMOTE, f"refs/heads/{branch}")
        actions: tuple[Action, ...] = (Remark("Nothing of it is on the remote: nothing is run."),)
        destroys: tuple[str, ...] = ()
        if way.delete and way.there:
            actions = (
                Command(("git", "push", REMOTE, f":refs/heads/{branch}"), str(app.directory)),
                Remark(f"Its commits stay in the local repository: {way.there[:12]} is the branch {branch} there."),
            )
            destroys = (f"{branch} on {way.url}, at {way.there[:12]}, where this run's push left it",)
        elif not way.delete and way.commits:
            actions = (
                Remark(f"The remote's branch stays: {way.why}. What was pushed is taken back by another commit.", True),
                *(Command(("git", "revert", made.sha), str(app.directory)) for made in way.commits.values()),
                Command(push, str(app.directory)),
            )
        return Preview(
            title=f"Take back the push of {app.title}",
            target=f"{way.url}, branch {branch}",
            verb="Delete the branch there" if way.delete else "Push a revert commit",
            undo="Run the step again: the branch is pushed anew.",
            actions=actions,
            destroys=destroys,
            world=(way.there or "",),
        )

    async def revert(self, context: Context) -> None:
        """Delete the remote's branch while it stands where the push left it; else push a revert commit."""
        from tekup_migrate.git.push import undo_push

        way = await self._way_back(context)
        if way.record is None:
            return
        if way.delete:
            await undo_push(way.repository, way.record)
            context.ran("command", f"git push {REMOTE} :refs/heads/{context.plan.branch}", str(way.repository.root))
        elif way.commits:
            await self._push_revert(context, way)

    async def _push_revert(self, context: Context, way: _WayBack) -> None:
        from tekup_migrate.credentials.leaks import leaks_in_text
        from tekup_migrate.git.commits import revert_commit
        from tekup_migrate.git.push import push

        for app, commit in way.commits.items():
            made = await revert_commit(
                way.repository, commit, find=lambda text: leaks_in_text(text, "", context.redactor)
            )
            if made is not None:
                context.memory.remember(reverted_note(self.phase, app), made.sha.encode())
                context.ran("command", f"git revert {commit.sha} → {made.sha}", str(way.repository.root))
                # The files themselves are for the steps that wrote them to take back.
                restore = ("restore", "--worktree", f"--source={commit.sha}", "--", *commit.paths)
                await way.repository.git(*restore)
        await push(way.repository, context.plan.branch, REMOTE)
        context.ran("command", f"git push {REMOTE} {context.plan.branch}", str(way.repository.root))

    async def verify_reverted(self, context: Context) -> Evidence:
        """Ask the remote: the branch is gone, or its last commit is the revert commit."""
        way = await self._way_back(context)
        untouched = way.record is None or way.record.before == way.record.after
        made = [context.memory.recall(reverted_note(self.phase, app)) for app in way.commits]
        if not untouched and made and made[-1] is not None:
            return reverted(way.there == made[-1].decode(), f"{way.url} has the revert commit", "it is not pushed")
        return reverted(untouched or way.there is None, f"{way.url} has no such branch", "the branch is still there")

    def forget(self, context: Context) -> None:
        """Forget where the remote stood."""
        context.memory.forget(self.id)

    async def _way_back(self, context: Context) -> _WayBack:
        from tekup_migrate.git.push import PushRecord, remote_branch
        from tekup_migrate.git.repository import Repository

        repository = await Repository.open(context.plan.apps[self.app].directory)
        url = next((entry.push_url for entry in await repository.remotes() if entry.name == REMOTE), REMOTE)
        kept = context.memory.recall(self.id)
        if kept is None:
            return _WayBack(repository, url, None, None, True, "", {})
        record = msgspec.json.decode(kept, type=PushRecord)
        there = await remote_branch(repository, record.branch, record.remote)
        delete = record.before is None and there in (None, record.after)
        why = "it was there before this run" if record.before is not None else "somebody pushed to it since"
        commits = await self._sent(context, repository, record)
        return _WayBack(repository, url, record, there, delete or record.before == record.after, why, commits)

    async def _sent(self, context: Context, repository: Repository, record: PushRecord) -> Mapping[str, CommitRecord]:
        """Return this run's commits that the push sent, newest first, by app: several apps may share a repository."""
        from tekup_migrate.git.commits import CommitRecord

        made = {}
        for app in reversed(context.plan.apps):
            kept = context.memory.recall(f"{self.phase}.commit.{app}")
            commit = msgspec.json.decode(kept, type=CommitRecord) if kept else None
            if commit is None or not await _is_part(repository, commit.sha, record.after):
                continue
            if record.before is None or not await _is_part(repository, commit.sha, record.before):
                made[app] = commit
        return made


async def _is_part(repository: Repository, sha: str, tip: str) -> bool:
    """Whether a commit of this repository is reachable from another."""
    return (await repository.read("merge-base", "--is-ancestor", sha, tip, check=False)).exit_code == 0


@dataclass(frozen=True)
class _WayBack:
    """How a push can be taken back: what was pushed, where the remote stands, and whether its branch may go.

    ``commits`` are this run's own that it sent, newest first, by app.
    """

    repository: Repository
    url: str
    record: PushRecord | None
    there: str | None
    delete: bool
    why: str
    commits: Mapping[str, CommitRecord]


def reverted_note(phase: str, app: str) -> str:
    """Return where the SHA of a revert commit is remembered, for the steps before the push."""
    return f"{phase}.commit.{app}:reverted-by"
