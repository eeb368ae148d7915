"""What a failed pg_dump means, and what to do about it."""

from __future__ import annotations

from collections.abc import Sequence

from tekup_migrate.backup.child import Finished
from tekup_migrate.errors import CommandFailedError

_LOCKED = (
    "Another session holds a table locked, so that it could not be read.",
    "Wait until schema changes on the database have ended, then try again.",
)
_UNCHANGED = "The unfinished folder was removed; no database and no earlier backup was changed."
_CAUSES = (
    (
        ("password authentication failed", "no password supplied"),
        "The server refused the password.",
        "Enter the password again, or reset it in the project's database settings.",
    ),
    (
        ("no space left on device", "disk quota exceeded", "not enough space"),
        "The disk is full.",
        "Free some space, or name a folder on another disk.",
    ),
    (("lock timeout", "could not obtain lock", "lock not available"), *_LOCKED),
    (
        ("permission denied", "row-level security", "row security"),
        "The role may not read everything that is to be backed up.",
        "Connect as the project's postgres role.",
    ),
    (
        ("certificate verify failed", "does not match host name", "root certificate"),
        "The server's certificate is not to be trusted.",
        "Check the host in the URL. If a security program opens TLS on this machine, exempt the database's host.",
    ),
    (
        (
            "server closed the connection",
            "could not receive data",
            "could not send data",
            "terminating connection",
            "connection to server",
            "ssl syscall",
            "lost connection",
            "no connection to the server",
        ),
        "The connection to the server was lost.",
        "Check the network and the project's state in the dashboard, then try again.",
    ),
)


def dump_failed(finished: Finished, *, where: str, relayed: Sequence[str] = ()) -> CommandFailedError:
    """Return the error for a pg_dump that ended badly; ``relayed`` are the relay's own reasons."""
    said = finished.said.lower()
    happened, remedy = next(
        ((cause, cure) for patterns, cause, cure in _CAUSES if any(pattern in said for pattern in patterns)),
        _unnamed(finished.code),
    )
    errors = [line for line in finished.said.splitlines() if "error:" in line or "detail:" in line.lower()]
    return CommandFailedError(
        f"The backup of {where} failed",
        happened=happened,
        unchanged=_UNCHANGED,
        remedy=remedy,
        details="\n".join([*(errors or finished.said.splitlines()[-10:]), *dict.fromkeys(relayed)]),
    )


def connection_lost(error: BaseException, *, where: str) -> CommandFailedError:
    """Return the error for a connection of our own that broke while the snapshot was held."""
    return CommandFailedError(
        f"The backup of {where} failed",
        happened="The connection that held the backup's snapshot was lost.",
        unchanged=_UNCHANGED,
        remedy="Check the network and the project's state in the dashboard, then try again.",
        details=f"{type(error).__name__}: {error}",
    )


def table_locked(error: BaseException, *, where: str) -> CommandFailedError:
    """Return the error for a table that another session did not let go of within a minute."""
    happened, remedy = _LOCKED
    return CommandFailedError(
        f"The backup of {where} failed", happened=happened, unchanged=_UNCHANGED, remedy=remedy, details=str(error)
    )


def _unnamed(code: int) -> tuple[str, str]:
    if code < 0:
        return f"pg_dump was ended from outside, by signal {-code}.", "Try again; see whether memory runs short."
    return f"pg_dump ended with the code {code}.", "Read the details; they are pg_dump's own words."
