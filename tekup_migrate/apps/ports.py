"""Whether a port is free before an app is started on it, and who holds it."""

from __future__ import annotations

import asyncio
import socket
from dataclasses import dataclass

from tekup_migrate.errors import MigrationError

_LOOPBACK = ("127.0.0.1", "::1")
_CONNECT_SECONDS = 1.0


class PortInUseError(MigrationError):
    """A port that an app needs is held by another program."""


@dataclass(frozen=True)
class PortHolder:
    """Who listens on a port; pid and name are None when the system does not tell."""

    port: int
    pid: int | None
    name: str | None


async def port_in_use(port: int) -> PortHolder | None:
    """Return who listens on ``port`` of this machine, or None when it is free."""
    return await asyncio.to_thread(_find_holder, port)


async def require_free_port(port: int) -> None:
    """Raise ``PortInUseError`` when somebody listens on ``port`` of this machine."""
    holder = await port_in_use(port)
    if holder is None:
        return
    known = f"{holder.name} (process {holder.pid})" if holder.pid else "another program"
    raise PortInUseError(
        f"Port {port} is in use",
        happened=f"{known} already listens on port {port}, so the app could not be started on it.",
        unchanged="Nothing was started and nothing was changed.",
        remedy=f"Stop {known}, or give the app another port, and try again.",
    )


def _find_holder(port: int) -> PortHolder | None:
    if not any(_listens(host, port) for host in _LOOPBACK):
        return None
    pid, name = _listener(port)
    return PortHolder(port, pid, name)


def _listens(host: str, port: int) -> bool:
    # Connecting tells a listener from a port that merely waits out its last connection.
    try:
        with socket.create_connection((host, port), timeout=_CONNECT_SECONDS):
            return True
    except TimeoutError:
        return True
    except OSError:
        return False


def _listener(port: int) -> tuple[int | None, str | None]:
    import psutil

    try:
        for connection in psutil.net_connections(kind="tcp"):
            local = connection.laddr
            if connection.status == psutil.CONN_LISTEN and local and local.port == port and connection.pid:
                return connection.pid, psutil.Process(connection.pid).name()
    except (psutil.AccessDenied, psutil.NoSuchProcess):
        return None, None
    return None, None
