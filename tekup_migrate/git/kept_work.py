"""Keeping uncommitted work in the object store, without touching the work tree, the index or the stash list.

What differs from HEAD goes into the commit of ``git stash create``; files git does not know, byte for byte
as they lie on disk, into a commit of their own. Refs under ``refs/tekup/<run>/`` keep both from being
collected.
"""

from __future__ import annotations

import asyncio
import os
import stat
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

from tekup_migrate.git.program import encode
from tekup_migrate.git.repository import Repository

_BATCH = 100
_AUTHOR = {
    f"GIT_{role}_{part}": value
    for role in ("AUTHOR", "COMMITTER")
    for part, value in (("NAME", "tekup-migrate"), ("EMAIL", "tekup-migrate@localhost"))
}


@dataclass(frozen=True)
class KeptRef:
    """A ref that keeps work: its full name and the commit it points at."""

    name: str
    sha: str


@dataclass(frozen=True)
class KeptWork:
    """The work that was uncommitted.

    ``changes`` holds what differed from HEAD, with the index as its second parent; it is None when nothing
    did. ``untracked`` holds the files git does not know, None when there were none. ``left_out`` names what
    could not be kept: nested repositories and things that are not files.
    """

    changes: KeptRef | None
    untracked: KeptRef | None
    left_out: tuple[str, ...] = ()

    @property
    def refs(self) -> tuple[KeptRef, ...]:
        """The refs that were made."""
        return tuple(ref for ref in (self.changes, self.untracked) if ref is not None)


def run_refs(run: str) -> str:
    """Return where the refs of a run live, with a final "/"."""
    return f"refs/tekup/{run}/"


async def keep_work(repository: Repository, *, run: str) -> KeptWork:
    """Keep all uncommitted work that is not ignored; repeated with nothing changed, it makes no new refs.

    Raises:
        GitError: git refused, for instance because paths are in conflict.
    """
    changes = await _stash_commit(repository)
    untracked, left_out = await _untracked_commit(repository)
    return KeptWork(
        await _keep(repository, run_refs(run) + "changes", changes),
        await _keep(repository, run_refs(run) + "untracked", untracked),
        left_out,
    )


async def _stash_commit(repository: Repository) -> str | None:
    status = await repository.status()
    if not any(entry.staged or entry.modified for entry in status):
        return None
    head = await repository.head()
    # "git stash create" needs a commit to stand on, and refuses paths marked with "git add -N".
    if not head.unborn:
        stash = await repository.git("stash", "create", "tekup-migrate", environment=_AUTHOR, check=False)
        if stash.exit_code == 0:
            return stash.text or None
    return await _worktree_commit(repository, head.sha)


async def _worktree_commit(repository: Repository, parent: str | None) -> str:
    """Commit the index, and on top of it the tracked files as they are in the work tree."""
    index_tree = (await repository.git("write-tree")).text
    parents = [parent] if parent else []
    index_commit = await _commit_tree(repository, index_tree, parents, "index")
    async with _index_copy(repository) as environment:
        await repository.git("add", "--update", "--", ".", environment=environment)
        tree = (await repository.git("write-tree", environment=environment)).text
    return await _commit_tree(repository, tree, [*parents, index_commit], "work tree")


@asynccontextmanager
async def _index_copy(repository: Repository) -> AsyncIterator[dict[str, str]]:
    """Give an environment in which git works on a throw-away copy of the index."""
    with TemporaryDirectory(prefix="tekup-index-") as folder:
        copy = Path(folder) / "index"
        original = repository.git_dir / "index"
        content = await asyncio.to_thread(original.read_bytes) if original.exists() else None
        if content is not None:
            await asyncio.to_thread(copy.write_bytes, content)
        yield {"GIT_INDEX_FILE": str(copy)}


async def _untracked_commit(repository: Repository) -> tuple[str | None, tuple[str, ...]]:
    paths = await repository.untracked_files()
    modes = {path: _file_mode(repository.root / path) for path in paths}
    # For a screen and a record: bytes that are no UTF-8 are replaced.
    left_out = tuple(encode(path).decode("utf-8", "replace") for path in paths if modes[path] is None)
    kept = [path for path in paths if modes[path] is not None]
    if not kept:
        return None, left_out
    blobs = await _write_blobs(repository, [path for path in kept if modes[path] != "120000"])
    for path in kept:
        if modes[path] == "120000":
            blobs[path] = await _write_link(repository, path)
    lines = [encode(f"{modes[path]} {blobs[path]}\t{path}\0") for path in kept]
    with TemporaryDirectory(prefix="tekup-index-") as folder:
        environment = {"GIT_INDEX_FILE": str(Path(folder) / "index")}
        await repository.git("update-index", "-z", "--index-info", stdin=b"".join(lines), environment=environment)
        tree = (await repository.git("write-tree", environment=environment)).text
    return await _commit_tree(repository, tree, [], "untracked files"), left_out


def _file_mode(path: Path) -> str | None:
    try:
        mode = path.lstat().st_mode
    except FileNotFoundError:
        return None
    if stat.S_ISLNK(mode):
        return "120000"
    if not stat.S_ISREG(mode):
        return None
    return "100755" if mode & stat.S_IXUSR else "100644"


async def _write_blobs(repository: Repository, paths: Sequence[str]) -> dict[str, str]:
    # --no-filters: line ends and large-file filters must not alter what is kept.
    blobs: dict[str, str] = {}
    for start in range(0, len(paths), _BATCH):
        batch = paths[start : start + _BATCH]
        output = await repository.git("hash-object", "-w", "--no-filters", "--", *batch)
        blobs.update(zip(batch, output.text.split("\n"), strict=True))
    return blobs


async def _write_link(repository: Repository, path: str) -> str:
    target = os.fsencode((repository.root / path).readlink())
    return (await repository.git("hash-object", "-w", "--no-filters", "--stdin", stdin=target)).text


async def _commit_tree(repository: Repository, tree: str, parents: Sequence[str], what: str) -> str:
    arguments = [argument for parent in parents for argument in ("-p", parent)]
    message = f"tekup-migrate: kept {what}\n".encode()
    output = await repository.git("commit-tree", "--no-gpg-sign", tree, *arguments, stdin=message, environment=_AUTHOR)
    return output.text


async def _keep(repository: Repository, name: str, sha: str | None) -> KeptRef | None:
    """Point a ref at ``sha``; a ref that keeps other work already is left, and a number added to the name."""
    if sha is None:
        return None
    wanted = await _trees(repository, sha)
    candidate, number = name, 1
    while (existing := await repository.ref(candidate)) is not None:
        if await _trees(repository, existing) == wanted:
            return KeptRef(candidate, existing)
        number += 1
        candidate = f"{name}-{number}"
    await repository.git("update-ref", candidate, sha, "")
    return KeptRef(candidate, sha)


async def _trees(repository: Repository, commit: str) -> tuple[str | None, ...]:
    """Return the trees of a kept commit and of the index beneath it, and the commit it stands on."""
    names = (f"{commit}^{{tree}}", f"{commit}^2^{{tree}}", f"{commit}^1")
    outputs = [await repository.read("rev-parse", "--verify", "--quiet", name, check=False) for name in names]
    return tuple(output.text if output.exit_code == 0 else None for output in outputs)
