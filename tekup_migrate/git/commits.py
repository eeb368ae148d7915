"""Committing exactly the named files, and taking such a commit back."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass, replace

from tekup_migrate.errors import WorldChangedError
from tekup_migrate.git.program import GitError, encode, git_failed
from tekup_migrate.git.repository import IndexEntry, Repository
from tekup_migrate.git.staging import (
    FindLeaks,
    changed_paths,
    find_committed_leaks,
    find_staged_leaks,
    require_no_leaks,
    require_stageable,
)


@dataclass(frozen=True)
class CommitRecord:
    """One commit of ours; all that taking it back needs.

    ``paths`` are those the commit changes, which is more than was asked for when a hook adds files.
    ``index_before`` is what the index held for them, so that an undo restores it exactly.
    """

    sha: str
    parent: str | None
    paths: tuple[str, ...]
    index_before: tuple[IndexEntry, ...]


async def commit_paths(
    repository: Repository,
    paths: Sequence[str],
    message: str,
    *,
    allowed: Collection[str],
    find: FindLeaks,
) -> CommitRecord | None:
    """Commit the files at ``paths`` as they lie on disk, and nothing else that may be staged.

    The user's hooks and signing have their say. Returns None when the files are as HEAD has them; repeated
    after a crash, it returns the commit that was made then.

    Raises:
        LeakError: a secret would get into the history; a commit into which a hook put one is taken back.
        GitError: a path may not be committed, a hook rejected the commit, or git refused.
    """
    repository.require_no_operation()
    changed = [entry.path for entry in await require_stageable(repository, paths, allowed=allowed)]
    if not changed:
        return await _made_before(repository, paths, message)
    unchanged = "Nothing was staged and nothing was committed."
    said = [replace(leak, path="the commit's message") for leak in find(message)]
    leaks = await find_staged_leaks(repository, changed, find=find)
    require_no_leaks([*said, *leaks], unchanged=unchanged)
    whole_index = await repository.index_entries()
    parent = (await repository.head()).sha
    await _commit(repository, changed, message)
    record = await _record(repository, parent, whole_index)
    leaks = await find_committed_leaks(repository, record.sha, parent, find=find)
    if leaks:
        await undo_commit(repository, record)
        require_no_leaks(leaks, unchanged="The commit was taken back; the files are as a hook left them.")
    return record


async def undo_commit(repository: Repository, record: CommitRecord) -> None:
    """Take back a commit that is HEAD and on no remote: HEAD and index as before, files untouched.

    Does nothing when HEAD is at the commit's parent already.

    Raises:
        WorldChangedError: HEAD is somewhere else by now.
        GitError: the commit is on a remote already; ``revert_commit`` is for that.
    """
    if (await repository.head()).sha == record.parent:
        return
    await refuse_undo(repository, record)
    # The index first: a kill in between leaves HEAD at our commit, and this can be done again.
    await _restore_index(repository, record)
    new = [record.parent] if record.parent else []
    reason = ["-m", "tekup-migrate: take the commit back"]
    action = ["HEAD", *new, record.sha] if new else ["-d", "HEAD", record.sha]
    await repository.git("update-ref", *reason, *action)


async def refuse_undo(repository: Repository, record: CommitRecord) -> None:
    """Stop where a commit cannot be taken back by moving HEAD; reads only.

    Raises:
        WorldChangedError: HEAD is somewhere else by now.
        GitError: the commit is on a remote already, or a merge or rebase is under way.
    """
    repository.require_no_operation()
    head = await repository.head()
    if head.sha != record.sha:
        raise WorldChangedError(
            "The commit is no longer the last one",
            happened=f"HEAD is at {(head.sha or 'no commit')[:12]}, and our commit {record.sha[:12]} "
            "lies under it or elsewhere.",
            unchanged="Nothing was changed.",
            remedy="Take the later commits back first, or take ours back by a revert commit.",
        )
    remote = await remote_branches_with(repository, record.sha)
    if remote:
        raise GitError(
            "The commit has been pushed",
            happened=f"{record.sha[:12]} is on {', '.join(remote)}.",
            unchanged="Nothing was changed.",
            remedy="Take it back by a revert commit.",
        )


async def revert_commit(repository: Repository, record: CommitRecord, *, find: FindLeaks) -> CommitRecord | None:
    """Take back a commit by a new commit that restores its files, leaving all else that is staged alone.

    Returns None when the files are already as they were before the commit.

    Raises:
        WorldChangedError: later commits or edits changed the same files.
        GitError: a hook rejected the revert commit, or git refused; the files are then put back.
    """
    subject = (await repository.read("log", "-1", "--format=%s", record.sha)).text
    message = f'Revert "{subject}"\n\nThis reverts commit {record.sha}.\n'
    if not await _differs_from_head(repository, record.parent, record.paths):
        return await _made_before(repository, record.paths, message)
    later = await _differs_from_head(repository, record.sha, record.paths)
    if later or await repository.status(record.paths):
        raise WorldChangedError(
            "The files have changed since",
            happened=f"Later {'commits' if later else 'edits'} changed files of {record.sha[:12]}.",
            unchanged="Nothing was changed.",
            remedy=f"Take it back by hand (git revert {record.sha[:12]}) and resolve what is in conflict.",
        )
    await _restore_files(repository, record.parent, record.paths)
    try:
        return await commit_paths(repository, record.paths, message, allowed=record.paths, find=find)
    except GitError:
        await _restore_files(repository, record.sha, record.paths)
        raise


async def remote_branches_with(repository: Repository, sha: str) -> tuple[str, ...]:
    """Return the remote branches that hold a commit, as far as this repository knows of them."""
    output = await repository.read("for-each-ref", f"--contains={sha}", "--format=%(refname:lstrip=2)", "refs/remotes")
    return tuple(output.text.split("\n")) if output.text else ()


async def _commit(repository: Repository, paths: Sequence[str], message: str) -> None:
    known = {entry.path for entry in await repository.index_entries(paths)}
    new = [path for path in paths if path not in known]
    committed = False
    try:
        if new:
            # "commit --only" takes paths git knows; the marker is not content and is taken back on failure.
            await repository.git("add", "--intent-to-add", "--", *new)
        output = await repository.git(
            "commit", "--quiet", "--only", "--file=-", "--", *paths, stdin=message.encode(), check=False
        )
        committed = output.exit_code == 0
    finally:
        if new and not committed:
            stdin = b"".join(encode(path) + b"\0" for path in new)
            await repository.git("update-index", "--force-remove", "-z", "--stdin", stdin=stdin)
    if not committed:
        raise git_failed(
            output,
            title="git did not make the commit",
            unchanged="Nothing was committed, and what you had staged is as it was.",
            remedy="A hook, the signing or git itself refused: read the message below, put right what it "
            "names, and try again.",
        )


async def _record(repository: Repository, parent: str | None, index_before: Sequence[IndexEntry]) -> CommitRecord:
    sha = await repository.resolve("HEAD")
    if sha is None or sha == parent:
        raise GitError(
            "git made no commit",
            happened="git reported success, but HEAD did not move.",
            unchanged="Nothing was committed.",
            remedy="See whether a hook of the repository takes commits back, and try again.",
        )
    paths = await changed_paths(repository, sha)
    wanted = set(paths)
    return CommitRecord(sha, parent, paths, tuple(entry for entry in index_before if entry.path in wanted))


async def _made_before(repository: Repository, paths: Sequence[str], message: str) -> CommitRecord | None:
    """Return HEAD as our commit when its message and paths are ours, for a repeat after a crash."""
    head = await repository.head()
    if head.sha is None:
        return None
    said = (await repository.read("log", "-1", "--format=%B", head.sha)).text
    changed = await changed_paths(repository, head.sha)
    if said.split() != message.split() or not set(paths).issuperset(changed) or not changed:
        return None
    parent = await repository.resolve(f"{head.sha}^")
    before = await _tree_entries(repository, parent, changed)
    return CommitRecord(head.sha, parent, changed, before)


async def _tree_entries(repository: Repository, revision: str | None, paths: Sequence[str]) -> tuple[IndexEntry, ...]:
    if revision is None:
        return ()
    output = await repository.read("ls-tree", "-r", "-z", revision, "--", *paths)
    entries = []
    for record in output.items:
        fields, _, path = record.partition("\t")
        mode, _, sha = fields.split(" ")
        entries.append(IndexEntry(path, mode, sha))
    return tuple(entries)


async def _restore_index(repository: Repository, record: CommitRecord) -> None:
    before = {entry.path: entry for entry in record.index_before}
    lines = []
    for path in record.paths:
        entry = before.get(path)
        lines.append(f"{entry.mode} {entry.sha}\t{path}\0" if entry else f"0 {'0' * len(record.sha)}\t{path}\0")
    await repository.git("update-index", "-z", "--index-info", stdin=encode("".join(lines)))
    await repository.git("update-index", "-q", "--refresh", check=False)


async def _differs_from_head(repository: Repository, revision: str | None, paths: Sequence[str]) -> bool:
    """Whether HEAD holds ``paths`` otherwise than ``revision`` does; None stands for an empty tree."""
    tree = revision or (await repository.git("mktree")).text
    output = await repository.read("diff-tree", "-r", "-z", "--name-only", "--no-renames", tree, "HEAD", "--", *paths)
    return bool(output.items)


async def _restore_files(repository: Repository, revision: str | None, paths: Sequence[str]) -> None:
    """Make files on disk as ``revision`` has them, those it lacks gone; the index stays."""
    present = {entry.path for entry in await _tree_entries(repository, revision, paths)}
    if revision is not None and present:
        await repository.git("restore", "--worktree", f"--source={revision}", "--", *sorted(present))
    for path in paths:
        if path not in present:
            (repository.root / path).unlink(missing_ok=True)
