"""The one directory that everything of a rehearsal lives in, and that is gone afterwards."""

from __future__ import annotations

import asyncio
import tempfile
from collections.abc import AsyncIterator
from contextlib import ExitStack, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

from tekup_migrate.errors import MigrationError
from tekup_migrate.rehearsal.account import Account, server_account
from tekup_migrate.removal import remove_tree
from tekup_migrate.watchdog import Watchdog, end_processes


@dataclass(frozen=True)
class RehearsalDirectory:
    """A directory of our own, watched over so that nothing outlives this process.

    Attributes:
        path: the directory, absolute.
        account: whom servers in it run under, or None for our own account.
    """

    path: Path
    account: Account | None


@asynccontextmanager
async def rehearsal_directory(path: Path | None = None, *, keep: bool = False) -> AsyncIterator[RehearsalDirectory]:
    """Open a new directory for a rehearsal; remove it at the end unless ``keep``.

    A watchdog process ends the servers and apps in it when this process is killed, and removes the directory.

    Args:
        path: where; must not exist or be empty. By default a fresh one among the temporary files.
        keep: leave the files, but no process, behind.

    Raises:
        MigrationError: the directory cannot be made, is not empty, or cannot be reached by the account
            that servers run under.
    """
    account = server_account()
    made = _make(path, account)
    with ExitStack() as unless_watched:
        unless_watched.callback(remove_tree, made)
        _require_reachable(made, account)
        watchdog = Watchdog.start(made, keep=keep)
        unless_watched.pop_all()
    try:
        yield RehearsalDirectory(path=made, account=account)
    finally:
        await asyncio.shield(asyncio.to_thread(_leave, made, watchdog, keep=keep))


def _leave(made: Path, watchdog: Watchdog, *, keep: bool) -> None:
    end_processes(made)
    if not keep:
        remove_tree(made)
    watchdog.release()


def _make(path: Path | None, account: Account | None) -> Path:
    try:
        if path is None:
            made = Path(tempfile.mkdtemp(prefix="tekup-rehearsal-")).resolve()
        else:
            made = path.expanduser().resolve()
            made.mkdir(parents=True, exist_ok=True)
            if any(made.iterdir()):
                raise _unusable(made, "it is not empty", "Name a directory that does not exist yet.")
        made.chmod(0o700 if account is None else 0o711)
    except OSError as error:
        where = path if path is not None else Path(tempfile.gettempdir())
        raise _unusable(where, str(error), "Name another directory with --dir.") from error
    return made


def _require_reachable(made: Path, account: Account | None) -> None:
    if account is not None and not account.passes_to(made):
        raise _unusable(
            made,
            f"Postgres refuses to run as root, and the account {account.name} that it runs under instead"
            " may not pass through one of the folders above it",
            "Name a directory with --dir that other accounts can reach, for example under /tmp.",
        )


def _unusable(path: Path, why: str, remedy: str) -> MigrationError:
    return MigrationError(
        "The rehearsal cannot use this directory",
        happened=f"{path} cannot hold a rehearsal: {why}.",
        unchanged="No server was started, and nothing outside that directory was touched.",
        remedy=remedy,
    )
