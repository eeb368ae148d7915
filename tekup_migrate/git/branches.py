"""A branch for the run's own commits, with the uncommitted work carried along and kept safe."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import msgspec

from tekup_migrate.errors import WorldChangedError
from tekup_migrate.git.kept_work import KeptWork, keep_work, run_refs
from tekup_migrate.git.program import GitError, git_failed
from tekup_migrate.git.repository import Head, Repository


@dataclass(frozen=True)
class BranchRecord:
    """What ``make_branch`` found and did; all that ``undo_branch`` needs.

    ``made`` is False when the branch was there before the run. ``former`` is where HEAD stood.
    """

    run: str
    branch: str
    made: bool
    former: Head
    kept: KeptWork


@dataclass(frozen=True)
class BranchUndone:
    """What ``undo_branch`` did: where HEAD stands, and the own commits that kept the branch, if any."""

    head: Head
    deleted: bool
    own_commits: tuple[str, ...]


async def make_branch(
    repository: Repository, branch: str, *, run: str, existing: Literal["refuse", "use"] = "refuse"
) -> BranchRecord:
    """Keep all uncommitted work, then switch to ``branch`` with index and work tree exactly as they are.

    Repeated after a crash it ends in the same state and returns the same record, which is kept in the
    repository itself. A branch that was there before the run is only switched to when ``existing`` is "use".

    Raises:
        GitError: the name is not one, the branch exists or is in use by another work tree, a merge or rebase
            is under way, or git refuses to switch.
    """
    recorded = await read_record(repository, run)
    head = await repository.head()
    if recorded is not None and recorded.branch == branch and head.branch == branch:
        return recorded
    await _check_ready(repository, branch, run)
    exists = await repository.ref(f"refs/heads/{branch}") is not None or head.branch == branch
    # The record is written before the switch: a crash in between leaves it with or without the branch.
    ours = recorded is not None and recorded.branch == branch and recorded.made
    if exists and existing == "refuse" and not ours:
        raise _branch_exists(branch)
    former = recorded.former if recorded is not None and ours and exists else head
    record = BranchRecord(run, branch, ours or not exists, former, await keep_work(repository, run=run))
    await _write_record(repository, record)
    if head.branch != branch:
        await _switch(repository, branch, create=not exists)
    return record


async def read_record(repository: Repository, run: str) -> BranchRecord | None:
    """Return what ``make_branch`` recorded in the repository for ``run``, or None."""
    sha = await repository.ref(_record_ref(run))
    if sha is None:
        return None
    blob = await repository.read("cat-file", "blob", sha)
    return msgspec.json.decode(blob.stdout, type=BranchRecord)


async def own_commits(repository: Repository, record: BranchRecord) -> tuple[str, ...]:
    """Return the SHAs that are on the branch and not where HEAD stood before it, newest first."""
    tip = await repository.resolve(f"refs/heads/{record.branch}")
    if tip is None or not record.made:
        return ()
    excluded = [f"^{record.former.sha}"] if record.former.sha else []
    return tuple((await repository.read("rev-list", tip, *excluded)).text.split())


async def undo_branch(repository: Repository, record: BranchRecord) -> BranchUndone:
    """Go back to where HEAD stood, and delete the branch when the run made it and it has no own commits.

    Without own commits neither index nor work tree is touched, and all refs of the run are removed; with
    own commits git carries the uncommitted work over, or refuses, and the refs stay.

    Raises:
        WorldChangedError: the branch that HEAD stood on has been moved or deleted since.
        GitError: a merge or rebase is under way, or git refuses to switch.
    """
    own = await own_commits(repository, record)
    if await refuse_undo(repository, record):
        await _switch_back(repository, record.former)
    deleted = await _delete_branch(repository, record) if record.made and not own else False
    if not own:
        await _remove_refs(repository, record.run)
    return BranchUndone(await repository.head(), deleted, own)


async def refuse_undo(repository: Repository, record: BranchRecord) -> bool:
    """Return whether going back means to switch, or stop where that would be a guess; reads only.

    Raises:
        WorldChangedError: the branch that HEAD stood on has been moved or deleted since.
        GitError: a merge or rebase is under way.
    """
    head = await repository.head()
    if head.branch != record.branch or record.former.branch == record.branch:
        return False
    repository.require_no_operation()
    await _check_former(repository, record)
    return True


async def _check_ready(repository: Repository, branch: str, run: str) -> None:
    repository.require_no_operation()
    conflicted = [entry.path for entry in await repository.status() if entry.conflicted]
    if conflicted:
        raise GitError(
            "Files are in conflict",
            happened=f"{len(conflicted)} files of {repository.root.name} hold an unresolved conflict.",
            unchanged="Nothing was changed.",
            remedy="Resolve them, or put them back, and try again.",
            details="\n".join(conflicted),
        )
    for ref in (f"refs/heads/{branch}", _record_ref(run)):
        checked = await repository.read("check-ref-format", ref, check=False)
        if checked.exit_code != 0 or branch.startswith("-"):
            raise GitError(
                "Not a branch name",
                happened=f"git accepts no branch called {branch!r}, or no run called {run!r}.",
                unchanged="Nothing was changed.",
                remedy="Give the branch another name in the plan.",
            )
    for worktree in await repository.worktrees():
        if worktree.branch == branch and worktree.path.resolve() != repository.root.resolve():
            raise GitError(
                f"The branch {branch} is in use",
                happened=f"It is checked out in another work tree: {worktree.path}",
                unchanged="Nothing was changed.",
                remedy="Switch that work tree to another branch, or name another branch in the plan.",
            )


def _branch_exists(branch: str) -> GitError:
    return GitError(
        f"The branch {branch} exists already",
        happened=f"There is a branch {branch} that this run did not make.",
        unchanged="Nothing was changed.",
        remedy="Choose to use it as it is, rename it, or give this branch another name in the plan.",
    )


async def _switch(repository: Repository, branch: str, *, create: bool) -> None:
    arguments = ["--no-track", "-c", branch] if create else ["--no-guess", branch]
    output = await repository.git("switch", "--quiet", *arguments, check=False)
    # A failing post-checkout hook gives an exit code although the switch was made: look where HEAD stands.
    if (await repository.head()).branch != branch:
        raise git_failed(
            output,
            title=f"git did not switch to {branch}",
            unchanged="HEAD, index and work tree are as they were; your uncommitted work is there.",
            remedy="Read git's message below and put right what it names, then try again.",
        )


async def _check_former(repository: Repository, record: BranchRecord) -> None:
    former = record.former
    if former.branch is None or former.branch == record.branch:
        return
    now = await repository.resolve(f"refs/heads/{former.branch}")
    if now != former.sha:
        raise WorldChangedError(
            f"The branch {former.branch} has moved",
            happened=f"It was at {(former.sha or 'no commit')[:12]} when the run began and is at "
            f"{(now or 'no commit')[:12]} now.",
            unchanged="Nothing was changed; you are still where you were.",
            remedy=f"Switch back by hand (git switch {former.branch}) when you know that is right.",
        )


async def _switch_back(repository: Repository, former: Head) -> None:
    if former.branch is not None and former.unborn:
        await repository.git("symbolic-ref", "HEAD", f"refs/heads/{former.branch}")
        return
    target = ["--no-guess", former.branch] if former.branch else ["--detach", former.sha or ""]
    output = await repository.git("switch", "--quiet", *target, check=False)
    if await repository.head() != former:
        raise git_failed(
            output,
            title=f"git did not switch back to {former.branch or former.sha}",
            unchanged="The branch, index and work tree are as they were; your uncommitted work is there.",
            remedy="Commit or move aside the files git names below, then try again.",
        )


async def _delete_branch(repository: Repository, record: BranchRecord) -> bool:
    if await repository.ref(f"refs/heads/{record.branch}") is None:
        return False
    await repository.git("branch", "--quiet", "-D", "--", record.branch)
    return True


async def _remove_refs(repository: Repository, run: str) -> None:
    listed = await repository.read("for-each-ref", "--format=%(refname)", run_refs(run).removesuffix("/"))
    commands = "".join(f"delete {name}\0\0" for name in listed.text.splitlines())
    await repository.git("update-ref", "-z", "--stdin", stdin=commands.encode())


def _record_ref(run: str) -> str:
    return run_refs(run) + "record"


async def _write_record(repository: Repository, record: BranchRecord) -> None:
    blob = await repository.git("hash-object", "-w", "--stdin", stdin=msgspec.json.encode(record))
    await repository.git("update-ref", _record_ref(record.run), blob.text)
