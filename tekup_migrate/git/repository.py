"""One repository on disk: opening it and reading how it stands."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from tekup_migrate.git.program import GitError, GitOutput, decode, git_failed, run_git
from tekup_migrate.git.status import StatusEntry, parse_status
from tekup_migrate.git.urls import mask_urls

# Files and folders in the git directory that mark an operation the user has begun and not ended.
_OPERATIONS = {
    "rebase-merge": "rebase",
    "rebase-apply": "rebase",
    "MERGE_HEAD": "merge",
    "CHERRY_PICK_HEAD": "cherry-pick",
    "REVERT_HEAD": "revert",
    "BISECT_LOG": "bisect",
}


@dataclass(frozen=True)
class Head:
    """Where HEAD stands. ``branch`` is None when detached, ``sha`` is None before the first commit."""

    branch: str | None
    sha: str | None

    @property
    def unborn(self) -> bool:
        """Whether the branch has no commit yet."""
        return self.sha is None


@dataclass(frozen=True)
class Remote:
    """A remote with the addresses git would use for it, credentials masked."""

    name: str
    fetch_url: str
    push_url: str


@dataclass(frozen=True)
class Worktree:
    """A work tree of the repository; ``branch`` is None when it is detached or bare."""

    path: Path
    branch: str | None


@dataclass(frozen=True)
class IndexEntry:
    """One path of the index; ``mode`` is octal as git writes it, ``stage`` is 0 unless conflicted."""

    path: str
    mode: str
    sha: str
    stage: int = 0


@dataclass(frozen=True)
class Repository:
    """A git repository with a work tree; made by ``open``.

    ``root`` is the top of the work tree, ``git_dir`` this work tree's own git directory, ``common_dir``
    the one that all its work trees share.
    """

    root: Path
    git_dir: Path
    common_dir: Path

    @classmethod
    async def open(cls, path: Path) -> Repository:
        """Open the repository that ``path`` is in; ``path`` may be a folder inside it.

        Raises:
            GitError: git or the path is missing, the path is in no repository, or in one without files.
        """
        if not await asyncio.to_thread(path.is_dir):
            raise GitError(
                "The repository's folder does not exist",
                happened=f"The plan names {path}, which is not a folder on this machine.",
                unchanged="Nothing was changed.",
                remedy="Correct the app's path in the plan, or clone the repository there.",
            )
        top = await run_git("rev-parse", "--show-toplevel", cwd=path)
        if top.exit_code != 0 or not top.text:
            raise _not_usable(path, top)
        git_dir = await run_git("rev-parse", "--absolute-git-dir", cwd=path)
        common = await run_git("rev-parse", "--git-common-dir", cwd=path)
        common_dir = await asyncio.to_thread((path / common.text).resolve)
        return cls(Path(top.text), Path(git_dir.text), common_dir)

    def name_of(self, directory: Path, name: str) -> str:
        """Return how git names the file ``name`` of a folder in the repository: from the top, with ``/``."""
        return PurePosixPath(directory.resolve().relative_to(self.root.resolve()).as_posix(), name).as_posix()

    async def git(
        self,
        *arguments: str,
        stdin: bytes = b"",
        environment: Mapping[str, str] | None = None,
        check: bool = True,
    ) -> GitOutput:
        """Run one git command at the root; paths in its arguments mean exactly themselves.

        Raises:
            GitError: it failed and ``check`` is set.
        """
        output = await run_git(
            *arguments,
            cwd=self.root,
            stdin=stdin,
            environment={"GIT_LITERAL_PATHSPECS": "1", **(environment or {})},
        )
        if check and output.exit_code != 0:
            raise git_failed(
                output,
                title=f"git {arguments[0]} failed in {self.root.name}",
                unchanged="This git command changed nothing.",
                remedy="Read git's message below and put right what it names, then try again.",
            )
        return output

    async def read(self, *arguments: str, check: bool = True, stdin: bytes = b"") -> GitOutput:
        """Run a git command that only reads, without taking locks the user's own git might want."""
        return await self.git(*arguments, check=check, stdin=stdin, environment={"GIT_OPTIONAL_LOCKS": "0"})

    async def head(self) -> Head:
        """Return the current branch and commit."""
        symbolic = await self.read("symbolic-ref", "--quiet", "HEAD", check=False)
        branch = symbolic.text.removeprefix("refs/heads/") if symbolic.exit_code == 0 else None
        return Head(branch, await self.resolve("HEAD"))

    async def resolve(self, revision: str) -> str | None:
        """Return the SHA of the commit that ``revision`` names, or None when there is none."""
        output = await self.read(
            "rev-parse", "--verify", "--quiet", "--end-of-options", f"{revision}^{{commit}}", check=False
        )
        return output.text if output.exit_code == 0 else None

    async def ref(self, name: str) -> str | None:
        """Return the SHA that the full ref ``name`` points at, whatever kind of object, or None."""
        output = await self.read("for-each-ref", "--format=%(objectname)%00%(refname)", name)
        for line in output.text.splitlines():
            sha, _, refname = line.partition("\0")
            if refname == name:
                return sha
        return None

    async def status(self, paths: Sequence[str] = ()) -> tuple[StatusEntry, ...]:
        """Return every path that is not as HEAD has it, untracked files one by one, ignored ones left out."""
        output = await self.read("status", "--porcelain=v2", "-z", "--untracked-files=all", "--renames", "--", *paths)
        return parse_status(output.items)

    async def tracked_files(self) -> tuple[str, ...]:
        """Return the paths in the index, relative to the root."""
        return tuple((await self.read("ls-files", "-z")).items)

    async def untracked_files(self) -> tuple[str, ...]:
        """Return the paths git neither knows nor ignores; a nested repository is given with a final "/"."""
        return tuple((await self.read("ls-files", "-z", "--others", "--exclude-standard")).items)

    async def index_entries(self, paths: Sequence[str] = ()) -> tuple[IndexEntry, ...]:
        """Return what the index holds, for all paths or the given ones."""
        output = await self.read("ls-files", "-z", "--stage", "--", *paths)
        entries = []
        for record in output.items:
            fields, _, path = record.partition("\t")
            mode, sha, stage = fields.split(" ")
            entries.append(IndexEntry(path, mode, sha, int(stage)))
        return tuple(entries)

    async def ignored(self, paths: Sequence[str]) -> frozenset[str]:
        """Return those of ``paths`` that are files git ignores; a tracked path is never ignored."""
        if not paths:
            return frozenset()
        # Not check-ignore: it knows no literal pathspecs, so a file called "*" would mean every file.
        output = await self.read("ls-files", "-z", "--others", "--ignored", "--exclude-standard", "--", *paths)
        return frozenset(output.items).intersection(paths)

    async def remotes(self) -> tuple[Remote, ...]:
        """Return the remotes with their addresses masked; ``insteadOf`` rules are applied."""
        remotes = []
        for name in (await self.read("remote")).text.splitlines():
            fetch = await self.read("remote", "get-url", name, check=False)
            push = await self.read("remote", "get-url", "--push", name, check=False)
            remotes.append(Remote(name, mask_urls(fetch.text), mask_urls(push.text)))
        return tuple(remotes)

    async def upstream(self, branch: str) -> str | None:
        """Return the full ref that ``branch`` follows (``refs/remotes/origin/main``), or None."""
        output = await self.read("for-each-ref", "--format=%(upstream)", f"refs/heads/{branch}")
        return output.text.split("\n")[0] or None

    async def worktrees(self) -> tuple[Worktree, ...]:
        """Return all work trees of the repository, this one included."""
        output = await self.read("worktree", "list", "--porcelain", "-z", check=False)
        if output.exit_code == 0:
            lines = decode(output.stdout).split("\0")
        else:  # git before 2.36 knows no -z here
            lines = (await self.read("worktree", "list", "--porcelain")).text.split("\n")
        return _parse_worktrees(lines)

    def operation_in_progress(self) -> str | None:
        """Return the operation the user has begun and not ended ("merge", "rebase", …), or None."""
        return next((operation for name, operation in _OPERATIONS.items() if (self.git_dir / name).exists()), None)

    def require_no_operation(self) -> None:
        """Raise ``GitError`` when a merge, rebase or the like is under way; a bisection is not in the way."""
        operation = self.operation_in_progress()
        if operation is None or operation == "bisect":
            return
        raise GitError(
            f"A {operation} is under way",
            happened=f"{self.root.name} is in the middle of a {operation}.",
            unchanged="Nothing was changed.",
            remedy=f"Finish it (git {operation} --continue) or give it up (--abort), and try again.",
        )


def _parse_worktrees(lines: Sequence[str]) -> tuple[Worktree, ...]:
    found: list[Worktree] = []
    for line in lines:
        key, _, value = line.partition(" ")
        if key == "worktree":
            found.append(Worktree(Path(value), None))
        elif key == "branch":
            found[-1] = Worktree(found[-1].path, value.removeprefix("refs/heads/"))
    return tuple(found)


def _not_usable(path: Path, output: GitOutput) -> GitError:
    if "dubious ownership" in output.messages:
        return git_failed(
            output,
            title="git does not trust this repository",
            unchanged="Nothing was changed.",
            remedy="The folder belongs to another user. If it is yours, run the `git config --global --add "
            "safe.directory` command that git names below.",
        )
    bare = "work tree" in output.messages
    return GitError(
        "The repository has no work tree" if bare else "Not a git repository",
        happened=f"{path} is {'a bare repository' if bare else 'in no git repository'}.",
        unchanged="Nothing was changed.",
        remedy="Correct the app's path in the plan, or clone the repository there.",
        details=output.messages,
    )
