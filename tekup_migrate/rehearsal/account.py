"""The account that an embedded server runs under: Postgres refuses to run as root."""

from __future__ import annotations

import os
import shutil
import stat
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import TypedDict

from tekup_migrate.errors import MigrationError
from tekup_migrate.postgres.programs import embedded_installation

_CANDIDATES = ("postgres", "nobody")


class AccountArguments(TypedDict, total=False):
    """What ``subprocess`` needs to run a program under an account; empty for our own."""

    user: int
    group: int
    extra_groups: list[int]


@dataclass(frozen=True)
class Account:
    """An unprivileged account of this machine that a server is handed over to."""

    name: str
    uid: int
    gid: int

    def reaches(self, path: Path) -> bool:
        """Whether the account may pass through every folder above ``path`` and read or enter it."""
        resolved = path.resolve()
        may_pass = all(self._may(parent, stat.S_IXOTH) for parent in resolved.parents)
        wanted = stat.S_IROTH | stat.S_IXOTH if resolved.is_dir() else stat.S_IROTH
        return may_pass and self._may(resolved, wanted)

    def passes_to(self, folder: Path) -> bool:
        """Whether the account may pass through ``folder`` and every folder above it."""
        resolved = folder.resolve()
        return all(self._may(each, stat.S_IXOTH) for each in (resolved, *resolved.parents))

    def _may(self, path: Path, wanted: int) -> bool:
        found = path.stat()
        shift = 6 if found.st_uid == self.uid else 3 if found.st_gid == self.gid else 0
        return (found.st_mode >> shift) & wanted == wanted


def server_account() -> Account | None:
    """Return the account to run servers under, or None where our own will do.

    Raises:
        MigrationError: we are root and the machine has no unprivileged account to use.
    """
    if sys.platform == "win32" or os.geteuid() != 0:
        return None
    import pwd

    for name in _CANDIDATES:
        try:
            found = pwd.getpwnam(name)
        except KeyError:
            continue
        if found.pw_uid != 0:
            return Account(name=name, uid=found.pw_uid, gid=found.pw_gid)
    raise MigrationError(
        "No account to run a database server under",
        happened=f"Postgres refuses to run as root, and there is no account {' or '.join(_CANDIDATES)}.",
        unchanged="Nothing was started or written.",
        remedy="Run this program as an ordinary user.",
    )


def account_arguments(account: Account | None) -> AccountArguments:
    """Return the arguments that make ``subprocess`` run a program under ``account``."""
    if account is None:
        return {}
    return {"user": account.uid, "group": account.gid, "extra_groups": []}


def reachable_installation(major: int, account: Account | None, copies: Path) -> Path:
    """Return an installation of Postgres that ``account`` can run, copied into ``copies`` where needed.

    The environment of a root user often lies in a folder closed to everyone else. Its mode is not ours to
    change, so the programs move instead (about 30 MB).
    """
    original = embedded_installation(major)
    if account is None or account.reaches(original / "bin"):
        return original
    copy = copies / original.parent.name / original.name
    if not copy.exists():
        unwanted = shutil.ignore_patterns("*.a", "pkgconfig", "pg_*dump*", "pgbench")
        for part in ("bin", "lib", "share"):
            shutil.copytree(original / part, copy / part, symlinks=True, ignore=unwanted)
        for libraries in _bundled_libraries(original.parent):
            place = copies / libraries.relative_to(original.parent.parent)
            shutil.copytree(libraries, place, symlinks=True, dirs_exist_ok=True)
        _open_to_all(copies)
    return copy


def _bundled_libraries(package: Path) -> list[Path]:
    """Return the folders of shared libraries that a wheel carries and its programs find by relative path."""
    places = (package.with_name(f"{package.name}.libs"), package / ".dylibs")
    return [place for place in places if place.is_dir()]


def hand_over(path: Path, account: Account | None) -> None:
    """Make ``account`` the owner of one file or folder that is ours."""
    if account is not None and sys.platform != "win32":
        os.chown(path, account.uid, account.gid)


def _open_to_all(folder: Path) -> None:
    folder.chmod(0o755)
    for path in folder.rglob("*"):
        if not path.is_symlink():
            path.chmod(path.stat().st_mode | (0o755 if path.is_dir() else 0o444 | _execute_bits(path)))


def _execute_bits(path: Path) -> int:
    return 0o111 if path.stat().st_mode & stat.S_IXUSR else 0
