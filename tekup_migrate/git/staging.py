"""What may be committed: only named files, never ignored ones, never a secret."""

from __future__ import annotations

import asyncio
import os
from collections import Counter
from collections.abc import Callable, Collection, Sequence
from dataclasses import replace
from pathlib import PurePosixPath

from tekup_migrate.credentials.leaks import Leak
from tekup_migrate.git.program import GitError, decode
from tekup_migrate.git.repository import Repository
from tekup_migrate.git.status import StatusEntry

FindLeaks = Callable[[str], Sequence[Leak]]
"""Finds secrets in a text; ``leaks_in_text`` with its other arguments given."""


class LeakError(GitError):
    """What was about to be committed or pushed holds a secret."""


async def require_stageable(
    repository: Repository, paths: Sequence[str], *, allowed: Collection[str]
) -> tuple[StatusEntry, ...]:
    """Return how ``paths`` differ from HEAD, or raise when one of them may not be committed.

    ``paths`` and ``allowed`` are relative to the root, with "/". A deleted tracked file may be named.

    Raises:
        GitError: a path is not in ``allowed``, lies outside the repository, is ignored, is no file, or is
            staged in part, so that committing it would take along what its owner held back.
    """
    for path in paths:
        _require_inside(path)
        if path not in allowed:
            raise _refused(path, "it is not among the files this step may commit")
    tracked = {entry.path for entry in await repository.index_entries(paths)}
    ignored = await repository.ignored(paths)
    for path in paths:
        if path in ignored:
            raise _refused(path, "git ignores it")
        if path not in tracked and not await asyncio.to_thread(_is_file, repository, path):
            raise _refused(path, "there is no such file")
    entries = await repository.status(paths)
    for entry in entries:
        if entry.conflicted:
            raise _refused(entry.path, "it is in conflict")
        if entry.staged and entry.modified:
            raise _refused(entry.path, "only part of its changes is staged")
    return entries


async def find_staged_leaks(repository: Repository, paths: Sequence[str], *, find: FindLeaks) -> tuple[Leak, ...]:
    """Return the secrets that the files at ``paths``, as they lie on disk, would add to what HEAD holds.

    A line that HEAD's version of the file holds already is not counted: it is not what this commit adds.
    """
    leaks: list[Leak] = []
    for path in paths:
        content = await asyncio.to_thread(_content, repository, path)
        leaks += _new_leaks(path, await _blob(repository, "HEAD", path), content, find)
    return tuple(leaks)


async def find_committed_leaks(
    repository: Repository, sha: str, parent: str | None, *, find: FindLeaks
) -> tuple[Leak, ...]:
    """Return the secrets that a commit adds to its parent, whoever put them there (a hook, for instance)."""
    leaks: list[Leak] = []
    for path in await changed_paths(repository, sha):
        before = await _blob(repository, parent, path) if parent else b""
        leaks += _new_leaks(path, before, await _blob(repository, sha, path), find)
    return tuple(leaks)


async def changed_paths(repository: Repository, sha: str) -> tuple[str, ...]:
    """Return the paths that differ between a commit and its first parent, or all of a first commit's."""
    output = await repository.read(
        "diff-tree", "-r", "-z", "--root", "--no-commit-id", "--name-only", "--no-renames", sha
    )
    return tuple(output.items)


def added_lines(before: bytes, after: bytes) -> frozenset[int]:
    """Return the numbers, from 1, of the lines of ``after`` that ``before`` does not hold as often."""
    held = Counter(_text(before).split("\n"))
    added = set()
    for number, line in enumerate(_text(after).split("\n"), start=1):
        if held[line] > 0:
            held[line] -= 1
        else:
            added.add(number)
    return frozenset(added)


def require_no_leaks(leaks: Sequence[Leak], *, unchanged: str) -> None:
    """Raise ``LeakError`` when there are any."""
    if not leaks:
        return
    paths = sorted({leak.path for leak in leaks})
    raise LeakError(
        "A secret would be committed",
        happened=f"{len(leaks)} found in {', '.join(paths)}.",
        unchanged=unchanged,
        remedy="Take the secrets out of these files, or leave the files out, and try again.",
        details="\n".join(f"{leak.path}, line {leak.line}: {leak.kind} {leak.mask}" for leak in leaks),
    )


def _new_leaks(path: str, before: bytes, after: bytes, find: FindLeaks) -> list[Leak]:
    added = added_lines(before, after)
    found = [leak for leak in find(_text(after)) if leak.line in added]
    return [replace(leak, path=path) for leak in [*find(path), *found]]


async def _blob(repository: Repository, revision: str, path: str) -> bytes:
    output = await repository.read("cat-file", "blob", f"{revision}:{path}", check=False)
    return output.stdout if output.exit_code == 0 else b""


def _text(content: bytes) -> str:
    # Without its NUL bytes, a secret in UTF-16 is found as well.
    return decode(content.replace(b"\0", b""))


def _require_inside(path: str) -> None:
    pure = PurePosixPath(path)
    if not path or pure.is_absolute() or ".." in pure.parts or str(pure) != path:
        raise _refused(path, "it is not a plain path inside the repository")


def _is_file(repository: Repository, path: str) -> bool:
    file = repository.root / path
    return file.is_file() or file.is_symlink()


def _content(repository: Repository, path: str) -> bytes:
    """Return what git would commit for ``path``: a link's target, a file's bytes, nothing when it is gone."""
    file = repository.root / path
    if file.is_symlink():
        return os.fsencode(file.readlink())
    return file.read_bytes() if file.is_file() else b""


def _refused(path: str, reason: str) -> GitError:
    return GitError(
        f"{path!r} is not committed",
        happened=f"{path!r} was to be committed, but {reason}.",
        unchanged="Nothing was staged and nothing was committed.",
        remedy="Put this file in order, or commit it by hand, and try again.",
    )
