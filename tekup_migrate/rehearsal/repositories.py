"""The sample repositories: a first commit, a bare remote that has it, and uncommitted work on top."""

from __future__ import annotations

import asyncio
import os
import shutil
from pathlib import Path

from tekup_migrate.errors import CommandFailedError
from tekup_migrate.rehearsal.template import Lookup, lay_out

BRANCH = "main"

_SETTINGS = {
    "user.name": "Rehearsal",
    "user.email": "rehearsal@example.invalid",
    "commit.gpgSign": "false",
    "core.autocrlf": "false",
    "core.fileMode": "false" if os.name == "nt" else "true",
}


async def make_repository(
    *, committed: Path, uncommitted: Path, repository: Path, remote: Path, lookup: Lookup
) -> None:
    """Make one sample repository.

    Args:
        committed: templates of the first commit; what their ``.gitignore`` names stays out of it.
        uncommitted: templates laid over the work tree afterwards; need not exist.
        repository: where the work tree goes.
        remote: where the bare remote ``origin`` goes.
        lookup: fills in the templates.

    Raises:
        CommandFailedError: git is missing or refuses.
    """
    await asyncio.to_thread(lay_out, committed, repository, lookup)
    await _git(repository, "init", "--quiet")
    await _git(repository, "symbolic-ref", "HEAD", f"refs/heads/{BRANCH}")
    for name, value in _SETTINGS.items():
        await _git(repository, "config", name, value)
    await _git(repository, "add", "--all")
    await _git(repository, "commit", "--quiet", "--message", "The app as it was before the consolidation")
    await _git(repository.parent, "clone", "--quiet", "--bare", str(repository), str(remote))
    await _git(repository, "remote", "add", "origin", str(remote))
    await _git(repository, "fetch", "--quiet", "origin")
    await _git(repository, "branch", "--quiet", f"--set-upstream-to=origin/{BRANCH}")
    await asyncio.to_thread(lay_out, uncommitted, repository, lookup)


async def _git(folder: Path, *arguments: str) -> None:
    """Run git without the machine's and the user's configuration: no hooks, no signing, no templates."""
    program = shutil.which("git")
    if program is None:
        raise CommandFailedError(
            "git was not found",
            happened="No program git is on the PATH.",
            unchanged="Nothing outside the rehearsal's own directory was touched.",
            remedy="Install git.",
        )
    process = await asyncio.create_subprocess_exec(
        program,
        *arguments,
        cwd=folder,
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
        env=_environment(),
    )
    said, _ = await process.communicate()
    if process.returncode != 0:
        raise CommandFailedError(
            "A sample repository could not be made",
            happened=f"git {arguments[0]} ended with {process.returncode}.",
            unchanged="Nothing outside the rehearsal's own directory was touched.",
            remedy="Read the details.",
            details=said.decode("utf-8", errors="replace").strip(),
        )


def _environment() -> dict[str, str]:
    kept = {name: value for name, value in os.environ.items() if not name.upper().startswith("GIT_")}
    return {
        **kept,
        "GIT_CONFIG_NOSYSTEM": "1",
        "GIT_CONFIG_GLOBAL": os.devnull,
        "GIT_TEMPLATE_DIR": "",
        "GIT_TERMINAL_PROMPT": "0",
        "LC_ALL": "C",
    }
