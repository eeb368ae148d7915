"""Where else in a repository the old project may be named: other env files, and any tracked text file."""

from __future__ import annotations

import os
import re
import stat
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from tekup_migrate.credentials.durable import SUFFIX
from tekup_migrate.envfiles.places import FilePlaces, text_places
from tekup_migrate.envfiles.successor import Successor

LARGEST = 5_000_000
"""Bytes above which a tracked file is passed over, and said to be."""

_ENV_NAME = re.compile(r"\.env(?:rc)?(?:\..+)?|.+\.env(?:\..+)?")
# What programs unpack or build: not the user's own, and remade from what is.
_NOT_OWN = {".git", "node_modules", ".venv", "venv", "__pycache__", ".next", ".turbo", ".pnpm-store"}


@dataclass(frozen=True, slots=True)
class PassedOver:
    """A file that was not searched or cannot be rewritten, and why."""

    name: str
    why: str


def is_env_name(name: str) -> bool:
    """Tell whether a file of this name is an env file: ``.env``, ``.env.local``, ``docker.env``, ``app.env.old``."""
    return _ENV_NAME.fullmatch(name) is not None and not name.endswith(SUFFIX)


def find_env_files(root: Path) -> tuple[str, ...]:
    """Return the env files below a folder, tracked or not, relative to it with ``/``, sorted.

    Folders of unpacked packages and repositories inside the repository are left out, links to folders not followed.
    """
    found = []
    for folder, folders, files in os.walk(root):
        here = Path(folder)
        folders[:] = sorted(
            name for name in folders if name not in _NOT_OWN and not os.path.lexists(here / name / ".git")
        )
        found += [(here / name).relative_to(root).as_posix() for name in files if is_env_name(name)]
    return tuple(sorted(found))


def find_mentions(
    root: Path, names: Iterable[str], successor: Successor, *, own: tuple[bytes, bytes]
) -> Iterator[FilePlaces | PassedOver]:
    """Search tracked files for lines that name the old project, but for the stretch between the marks ``own``.

    Args:
        root: the folder that the names are relative to.
        names: the files, with ``/``.
        successor: knows the old project.
        own: what begins and ends the section that this program writes itself.
    """
    for name in names:
        path = root / name
        try:
            found = _searched(name, path, successor, own)
        except OSError as error:
            found = PassedOver(name, f"it cannot be read: {error.strerror or error}")
        if found is not None:
            yield found


def _searched(name: str, path: Path, successor: Successor, own: tuple[bytes, bytes]) -> FilePlaces | PassedOver | None:
    try:
        status = path.lstat()
    except FileNotFoundError:
        return None
    if not stat.S_ISREG(status.st_mode):
        # A link's target is searched where it is itself; a submodule is a repository of its own.
        return None
    if status.st_size > LARGEST:
        return PassedOver(name, f"not searched: {status.st_size / 1e6:.0f} MB")
    content = path.read_bytes()
    if b"\0" in content:
        holds = successor.trace.search(content.replace(b"\0", b""))
        return PassedOver(name, "binary, or not UTF-8, and names the old project") if holds else None
    if not successor.trace.search(content):
        return None
    start = content.find(own[0])
    end = content.find(own[1], start) if start >= 0 else -1
    without = (_characters(content[:start]), _characters(content[:end])) if end >= 0 else (0, 0)
    places = text_places(name, path, content, successor, without=without)
    return places if places.places else None


def _characters(content: bytes) -> int:
    return len(content.decode("utf-8", "surrogateescape"))
