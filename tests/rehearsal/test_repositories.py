"""Sample repositories come out the same whatever the user's own git is set to."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from tekup_migrate.errors import CommandFailedError
from tekup_migrate.rehearsal.repositories import make_repository


def lookup(name: str) -> str:
    raise KeyError(name)


async def make(folder: Path) -> Path:
    committed = folder / "committed"
    committed.mkdir()
    (committed / "README.md").write_bytes(b"one\r\ntwo\r\n")
    repository = folder / "repository"
    await make_repository(
        committed=committed,
        uncommitted=folder / "nothing",
        repository=repository,
        remote=folder / "remote.git",
        lookup=lookup,
    )
    return repository


async def test_the_users_signing_hooks_and_line_ends_have_no_say(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    hooks = tmp_path / "hooks"
    hooks.mkdir()
    (hooks / "pre-commit").write_text("#!/bin/sh\nexit 1\n", encoding="utf-8")
    (hooks / "pre-commit").chmod(0o755)
    config = tmp_path / "gitconfig"
    config.write_text(
        f"[core]\n\thooksPath = {hooks.as_posix()}\n\tautocrlf = input\n[commit]\n\tgpgSign = true\n"
        "[init]\n\tdefaultBranch = elsewhere\n",
        encoding="utf-8",
    )
    monkeypatch.setenv("GIT_CONFIG_GLOBAL", str(config))
    monkeypatch.setenv("GIT_DIR", str(tmp_path / "nowhere"))
    repository = await make(tmp_path)
    monkeypatch.delenv("GIT_DIR")
    shown = subprocess.run(["git", "show", "main:README.md"], cwd=repository, check=True, capture_output=True).stdout
    assert shown == b"one\r\ntwo\r\n"


async def test_a_machine_without_git_is_told_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(CommandFailedError, match="git was not found"):
        await make(tmp_path)
