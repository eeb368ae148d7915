"""The git program: found once, called one way."""

from __future__ import annotations

import asyncio
import os
import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from tempfile import TemporaryFile

from tekup_migrate.errors import MigrationError
from tekup_migrate.git.urls import mask_urls
from tekup_migrate.process_tree import ProcessTree, spawn_options

# What would point git at another repository, index or object store than the one at the path, as it is set
# inside a hook; and GPG_TTY, through which a passphrase prompt would scribble over the wizard.
_NOT_INHERITED = frozenset(
    {
        "GIT_DIR", "GIT_WORK_TREE", "GIT_INDEX_FILE", "GIT_PREFIX", "GIT_COMMON_DIR", "GIT_NAMESPACE",
        "GIT_OBJECT_DIRECTORY", "GIT_ALTERNATE_OBJECT_DIRECTORIES", "GIT_GLOB_PATHSPECS",
        "GIT_NOGLOB_PATHSPECS", "GIT_ICASE_PATHSPECS", "GIT_TRACE", "GPG_TTY",
    }
)  # fmt: skip


class GitError(MigrationError):
    """Git is missing, refused, or is in a state that the step cannot work from."""


@dataclass(frozen=True)
class GitOutput:
    """What one call of git gave: bytes as git wrote them, and its messages with credentials masked."""

    arguments: tuple[str, ...]
    exit_code: int
    stdout: bytes
    messages: str

    @property
    def text(self) -> str:
        """The output as text without its last line end; bytes that are not UTF-8 survive a round trip."""
        return decode(self.stdout).removesuffix("\n")

    @property
    def items(self) -> list[str]:
        """The output of a ``-z`` call, split at its NUL bytes."""
        return [item for item in decode(self.stdout).split("\0") if item]


def decode(raw: bytes) -> str:
    """Return git's bytes as text; a path that is not UTF-8 keeps its bytes as surrogates."""
    return raw.decode("utf-8", "surrogateescape")


def encode(text: str) -> bytes:
    """Return the bytes that ``decode`` made ``text`` from."""
    return text.encode("utf-8", "surrogateescape")


@cache
def _look_up_git(path: str) -> Path | None:
    found = shutil.which("git", path=path)
    return Path(found).absolute() if found else None


def find_git() -> Path:
    """Return git's absolute path, so that a ``git`` in a repository's folder is never run.

    Raises:
        GitError: git is not on the PATH.
    """
    found = _look_up_git(os.environ.get("PATH", ""))
    if found is None:
        raise GitError(
            "git was not found",
            happened="No program called git is on the PATH.",
            unchanged="Nothing was changed.",
            remedy="Install git (https://git-scm.com/downloads) and try again.",
        )
    return found


def git_environment(extra: Mapping[str, str]) -> dict[str, str]:
    """Return the environment git runs in: the user's own, never asking anything, messages in English."""
    inherited = {name: value for name, value in os.environ.items() if name not in _NOT_INHERITED}
    return {
        **inherited,
        "GIT_TERMINAL_PROMPT": "0",
        "GIT_EDITOR": ":",
        "GIT_SEQUENCE_EDITOR": ":",
        "GIT_PAGER": "cat",
        "LANGUAGE": "en",
        **extra,
    }


async def run_git(
    *arguments: str, cwd: Path, stdin: bytes = b"", environment: Mapping[str, str] | None = None
) -> GitOutput:
    """Run git in ``cwd`` to its end; a non-zero exit code is returned, not raised.

    Cancelled, git and what it started (hooks, ssh) are ended first. A daemon that git leaves on purpose,
    such as a key agent, is left alone when git itself ends well.
    """
    program = find_git()
    # Files instead of pipes: a program that a hook leaves running would hold a pipe open for ever.
    with TemporaryFile() as source, TemporaryFile() as out, TemporaryFile() as err:
        source.write(stdin)
        source.seek(0)
        process = await asyncio.create_subprocess_exec(
            str(program),
            "--no-pager",
            "-c",
            "color.ui=false",
            "-c",
            "core.quotePath=false",
            *arguments,
            cwd=cwd,
            env=git_environment(environment or {}),
            stdin=source,
            stdout=out,
            stderr=err,
            **spawn_options(),
        )
        tree = ProcessTree(process.pid)
        try:
            exit_code = await process.wait()
        except asyncio.CancelledError:
            await tree.end()
            raise
        out.seek(0)
        err.seek(0)
        messages = mask_urls(err.read().decode("utf-8", "replace").strip())
        return GitOutput(arguments, exit_code, out.read(), messages)


def git_failed(output: GitOutput, *, title: str, unchanged: str, remedy: str) -> GitError:
    """Return the error for a git call that failed, with git's own words in the details."""
    said = "\n".join(part for part in (output.messages, mask_urls(output.text)) if part)
    first = next((line for line in said.splitlines() if line.strip()), f"exit code {output.exit_code}")
    return GitError(
        title,
        happened=f"git {output.arguments[0]} said: {first.strip()}",
        unchanged=unchanged,
        remedy=remedy,
        details=said,
    )
