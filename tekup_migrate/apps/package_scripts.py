"""What a command such as ``pnpm db:push`` really runs, read from the app's package.json files."""

from __future__ import annotations

import json
import os
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from tekup_migrate.errors import MigrationError

DATA_LOSS_FLAGS = ("--accept-data-loss", "--force-reset", "migrate reset")
"""What in a script makes Prisma drop data without asking."""

_RUNNERS = frozenset({"pnpm", "npm", "yarn", "bun"})
_DIRECT = frozenset({"exec", "dlx", "x"})
_FOLDER_OPTIONS = frozenset({"-C", "--dir", "--prefix", "--cwd"})
_PACKAGE_OPTIONS = frozenset({"-F", "--filter", "--workspace", "workspace"})
_SEPARATORS = re.compile(r"\s*(?:&&|\|\||[;|&])\s*")
_SKIPPED_FOLDERS = frozenset({"node_modules", ".git", "dist", "build", ".next"})


class PackageError(MigrationError):
    """A package.json cannot be read."""


@dataclass(frozen=True)
class Script:
    """One script of a package.json: the folder of the package, the script's name and its text."""

    package: Path
    name: str
    text: str


@dataclass(frozen=True)
class CommandReading:
    """What a command leads to.

    ``scripts`` are those it runs, in the order met. ``data_loss`` are the flags of ``DATA_LOSS_FLAGS`` found
    in it. ``conclusive`` is False when no script or program named prisma was met, so that what it does
    cannot be told by reading.
    """

    scripts: tuple[Script, ...]
    data_loss: tuple[str, ...]
    conclusive: bool


def read_command(argv: Sequence[str], *, root: Path) -> CommandReading:
    """Follow a command run in ``root`` through the scripts it names, those before and after included.

    Raises:
        PackageError: a package.json on the way cannot be read.
    """
    scripts: list[Script] = []
    _follow(list(argv), root, scripts)
    texts = [" ".join(argv), *(script.text for script in scripts)]
    joined = " \n ".join(" ".join(text.split()) for text in texts)
    return CommandReading(
        tuple(scripts),
        tuple(flag for flag in DATA_LOSS_FLAGS if flag in joined),
        re.search(r"(?<![\w.-])prisma(?![\w:/-])", joined) is not None,
    )


def read_scripts(package: Path) -> dict[str, str]:
    """Return the scripts of the package.json in a folder; none when it has no such file.

    Raises:
        PackageError: the file is not JSON, or its scripts are no object of texts.
    """
    content = _read_package(package)
    scripts = content.get("scripts", {})
    if not isinstance(scripts, dict) or not all(isinstance(text, str) for text in scripts.values()):
        raise _unreadable(package, "`scripts` is not an object of texts")
    return {str(name): str(text) for name, text in scripts.items()}


def _follow(words: list[str], folder: Path, found: list[Script]) -> None:
    target, name = _script_named(words, folder)
    if name is None:
        return
    scripts = read_scripts(target)
    for each in (f"pre{name}", name, f"post{name}"):
        script = Script(target, each, scripts[each]) if each in scripts else None
        if script is None or script in found:
            continue
        found.append(script)
        for command in _SEPARATORS.split(script.text):
            _follow(_without_settings(command.split()), target, found)


def _without_settings(words: list[str]) -> list[str]:
    """Drop ``NAME=value`` and wrappers such as ``cross-env`` and ``dotenv … --`` before the program."""
    if "--" in words and words[0] in {"dotenv", "dotenvx", "env-cmd"}:
        words = words[words.index("--") + 1 :]
    while words and ("=" in words[0] or words[0] in {"cross-env", "env", "dotenv"}):
        words = words[1:]
    return words


def _script_named(words: list[str], folder: Path) -> tuple[Path, str | None]:
    """Return the package folder and the script that a package runner's command names."""
    if not words or Path(words[0]).stem not in _RUNNERS:
        return folder, None
    remaining = iter(words[1:])
    for word in remaining:
        option, _, value = word.partition("=")
        if option in _FOLDER_OPTIONS:
            folder = folder / (value or next(remaining, "."))
        elif option in _PACKAGE_OPTIONS:
            folder = _package_named(folder, value or next(remaining, ""))
        elif word in {"run", "run-script"} or word.startswith("-"):
            continue
        else:
            return folder, None if word in _DIRECT else word
    return folder, None


def _package_named(root: Path, pattern: str) -> Path:
    wanted = pattern.strip("'\"").removesuffix("...")
    if wanted.startswith(("./", "{")):
        return root / wanted.strip("{}")
    for folder in _packages(root):
        if _read_package(folder).get("name") == wanted or folder.name == wanted:
            return folder
    return root / "(no such package)"


def _packages(root: Path) -> Iterator[Path]:
    for current, folders, files in os.walk(root):
        folders[:] = sorted(name for name in folders if name not in _SKIPPED_FOLDERS)
        if "package.json" in files:
            yield Path(current)


def _read_package(folder: Path) -> dict[str, object]:
    try:
        content = json.loads((folder / "package.json").read_text(encoding="utf-8-sig"))
    except FileNotFoundError:
        return {}
    except (OSError, ValueError) as error:
        raise _unreadable(folder, str(error)) from error
    if not isinstance(content, dict):
        raise _unreadable(folder, "it is not an object")
    return content


def _unreadable(folder: Path, reason: str) -> PackageError:
    return PackageError(
        "A package.json cannot be read",
        happened=f"{folder / 'package.json'}: {reason}.",
        unchanged="Nothing was changed.",
        remedy="Put the file right, then try again.",
    )
