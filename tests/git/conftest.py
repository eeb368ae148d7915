"""Real repositories in a home of their own, so that nobody's git configuration has a say."""

from __future__ import annotations

import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import pytest

NASTY_NAMES: tuple[str, ...] = (
    "a b.txt",
    "blåbær æøå.md",
    "[id].tsx",
    "-rf",
    ":(top)x",
    "quo'te\".txt",
    "dir æ/-n [1].txt",
)
if sys.platform != "win32":
    NASTY_NAMES = (*NASTY_NAMES, "new\nline.txt", "tab\there.txt", "back\\slash", "*")
else:
    NASTY_NAMES = tuple(name for name in NASTY_NAMES if not set(name) & set('":*'))


@dataclass(frozen=True)
class Shell:
    """A repository as a user at a prompt would handle it."""

    root: Path

    def git(self, *arguments: str, stdin: str | None = None) -> str:
        done = subprocess.run(
            ["git", *arguments],
            cwd=self.root,
            capture_output=True,
            input=(stdin or "").encode(),
            check=False,
        )
        assert done.returncode == 0, f"git {arguments}: {done.stderr.decode()}"
        return done.stdout.decode()

    def write(self, path: str, text: str) -> None:
        file = self.root / path
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(text.encode())

    def commit(self, message: str) -> str:
        self.git("add", "-A")
        self.git("commit", "-qm", message)
        return self.git("rev-parse", "HEAD").strip()

    def hook(self, name: str, script: str) -> None:
        file = self.root / ".git" / "hooks" / name
        file.parent.mkdir(exist_ok=True)
        file.write_text(f"#!/bin/sh\n{script}\n", encoding="utf-8")
        file.chmod(0o755)

    def state(self) -> dict[str, object]:
        """Everything an undo must restore: refs, HEAD, index, work tree, stash list, remotes' settings."""
        files = {
            str(file.relative_to(self.root)): (f"-> {file.readlink()}" if file.is_symlink() else file.read_bytes())
            for file in sorted(self.root.rglob("*"))
            if ".git" not in file.relative_to(self.root).parts and (file.is_symlink() or file.is_file())
        }
        head = (self.root / ".git" / "HEAD").read_text(encoding="utf-8")
        return {
            "refs": self.git("for-each-ref"),
            "head": head,
            "index": self.git("ls-files", "-z", "--stage"),
            "status": self.git("status", "--porcelain=v2", "-z", "--untracked-files=all"),
            "stashes": self.git("stash", "list"),
            "config": (self.root / ".git" / "config").read_bytes(),
            "files": files,
        }


@pytest.fixture(autouse=True)
def own_home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    home = tmp_path / "home æ"
    home.mkdir()
    config = home / ".gitconfig"
    config.write_text(
        "[user]\n\tname = Nanna Prøve\n\temail = nanna@localhost\n[init]\n\tdefaultBranch = main\n"
        "[core]\n\tautocrlf = false\n",
        encoding="utf-8",
    )
    for name, value in {
        "HOME": str(home),
        "XDG_CONFIG_HOME": str(home / "xdg"),
        "GIT_CONFIG_GLOBAL": str(config),
        "GIT_CONFIG_NOSYSTEM": "1",
        "GIT_TERMINAL_PROMPT": "0",
    }.items():
        monkeypatch.setenv(name, value)
    return home


@pytest.fixture
def shell(tmp_path: Path) -> Shell:
    """A repository with two commits, in a folder with a space, a Danish letter and brackets in its name."""
    shell = Shell(tmp_path / "my æpp [1]")
    shell.root.mkdir()
    shell.git("init", "-q")
    shell.write("README.md", "# Ledger\n")
    shell.write("src/app.ts", "export {}\n")
    shell.write(".gitignore", "node_modules/\n.env.local\n")
    shell.commit("First")
    shell.write(".env", "PORT=1\r\n")
    shell.commit("Second")
    return shell


@pytest.fixture
def dirty(shell: Shell) -> Shell:
    """The repository with a stash, staged, half-staged, unstaged, deleted, untracked and ignored files."""
    shell.write("README.md", "# stashed\n")
    shell.git("stash", "push", "-qm", "mine")
    shell.write("README.md", "# staged\n")
    shell.git("add", "README.md")
    shell.write("README.md", "# staged and changed\n")
    shell.write(".env", "PORT=2\r\n# æ\r\n")
    shell.write("staged new.txt", "new\n")
    shell.git("add", "staged new.txt")
    (shell.root / "src" / "app.ts").unlink()
    for name in NASTY_NAMES:
        shell.write(name, f"{name}\r\nuntracked\r\n")
    shell.write(".env.local", "IGNORED=1\n")
    return shell
