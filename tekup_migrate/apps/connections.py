"""Counting a server's connections while the apps run, against what it allows."""

from __future__ import annotations

import asyncio
import re
import time
from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import asyncpg

# Said by Postgres (53300), Supabase's pooler, Prisma (P2024), node-postgres and SQLAlchemy, in that order.
_POOL_ERRORS = re.compile(
    r"too many (?:clients|connections)|remaining connection slots are reserved|\b53300\b"
    r"|max ?client(?: connections reached|s ?in ?session ?mode|s reached)|unable to check out (?:process|connection)"
    r"|timed out fetching a new connection|\bP2024\b|timeout exceeded when trying to connect"
    r"|queuepool limit|connection pool (?:exhausted|timeout)",
    re.IGNORECASE,
)


@dataclass(frozen=True)
class ConnectionLimits:
    """What the server allows: all connections, those kept for administrators, and this role's own limit."""

    max_connections: int
    reserved: int
    role_limit: int | None

    @property
    def usable(self) -> int:
        """How many connections apps can have between them."""
        return self.max_connections - self.reserved


@dataclass(frozen=True)
class ConnectionGroup:
    """The connections of one application name and user at one moment, or at their peak."""

    application: str
    user: str
    connections: int


@dataclass(frozen=True)
class ConnectionPeak:
    """The most connections seen.

    ``total`` is the most at one moment, with ``groups`` as they were then; ``group_peaks`` is each group's
    own highest. ``failure`` says why sampling ended early, "" when it did not: the peak is then a lower bound.
    """

    total: int
    groups: tuple[ConnectionGroup, ...]
    group_peaks: tuple[ConnectionGroup, ...]
    samples: int
    seconds: float
    limits: ConnectionLimits
    failure: str = ""

    @property
    def available(self) -> int:
        """How many connections apps can have between them, this role's own limit included."""
        usable = self.limits.usable
        return usable if self.limits.role_limit is None else min(usable, self.limits.role_limit)

    @property
    def lines(self) -> tuple[str, ...]:
        """Each group's highest count, one line each, fit for evidence."""
        return tuple(
            f"{group.application or '(no name)'} as {group.user or '(no user)'}: at most {group.connections}"
            for group in self.group_peaks
        )

    def within(self, *, pool_limit: int | None = None) -> bool | None:
        """Whether the peak stayed below what the server, and a pooler's limit if given, allow.

        None when that cannot be told, because sampling failed or never happened.
        """
        if self.failure or not self.samples:
            return None
        limit = self.available if pool_limit is None else min(self.available, pool_limit)
        return self.total < limit


class ConnectionSampler:
    """Takes the samples; made by ``count_connections``."""

    def __init__(self, connection: asyncpg.Connection[asyncpg.Record], limits: ConnectionLimits) -> None:
        self._connection = connection
        self._limits = limits
        self._started = time.monotonic()
        self._samples = 0
        self._busiest: tuple[ConnectionGroup, ...] = ()
        self._peaks: dict[tuple[str, str], int] = {}
        self._failure = ""

    async def sample(self) -> tuple[ConnectionGroup, ...]:
        """Count once, and remember the highest counts."""
        groups = await _read_groups(self._connection)
        self._samples += 1
        if _total(groups) > _total(self._busiest):
            self._busiest = groups
        for group in groups:
            key = (group.application, group.user)
            self._peaks[key] = max(self._peaks.get(key, 0), group.connections)
        return groups

    async def keep_sampling(self, interval: float) -> None:
        """Count every ``interval`` seconds until cancelled; a lost connection is remembered and ends it."""
        import asyncpg

        while True:
            try:
                await self.sample()
            except (asyncpg.PostgresError, asyncpg.InterfaceError, asyncpg.InternalClientError, OSError) as error:
                self._failure = str(error) or type(error).__name__
                return
            await asyncio.sleep(interval)

    def result(self) -> ConnectionPeak:
        """Return the highest counts so far."""
        peaks = sorted(self._peaks.items(), key=lambda item: (-item[1], item[0]))
        return ConnectionPeak(
            total=_total(self._busiest),
            groups=self._busiest,
            group_peaks=tuple(ConnectionGroup(*key, count) for key, count in peaks),
            samples=self._samples,
            seconds=time.monotonic() - self._started,
            limits=self._limits,
            failure=self._failure,
        )


@asynccontextmanager
async def count_connections(
    connection: asyncpg.Connection[asyncpg.Record], *, interval: float = 0.25
) -> AsyncIterator[ConnectionSampler]:
    """Count the server's connections every ``interval`` seconds while the block runs.

    ``connection`` is used for nothing else meanwhile, and is counted like every other. Ask the
    sampler for its ``result`` in the block or after it.
    """
    sampler = ConnectionSampler(connection, await read_limits(connection))
    task = asyncio.create_task(sampler.keep_sampling(interval))
    try:
        yield sampler
    finally:
        task.cancel()
        await asyncio.wait({task})


async def read_limits(connection: asyncpg.Connection[asyncpg.Record]) -> ConnectionLimits:
    """Read what the server allows; ``reserved_connections`` is known from Postgres 16 on."""
    row = await connection.fetchrow(
        """
        SELECT current_setting('max_connections')::int AS max_connections,
               current_setting('superuser_reserved_connections')::int
                   + COALESCE(NULLIF(current_setting('reserved_connections', true), ''), '0')::int AS reserved,
               (SELECT rolconnlimit FROM pg_catalog.pg_roles WHERE rolname = current_user) AS role_limit
        """
    )
    assert row is not None, "a SELECT without FROM gives one row"
    role_limit = int(row["role_limit"])
    return ConnectionLimits(int(row["max_connections"]), int(row["reserved"]), role_limit if role_limit >= 0 else None)


def find_pool_errors(lines: Iterable[str]) -> tuple[str, ...]:
    """Return those lines of an app's output that tell of a full connection pool or server."""
    return tuple(line for line in lines if _POOL_ERRORS.search(line))


async def _read_groups(connection: asyncpg.Connection[asyncpg.Record]) -> tuple[ConnectionGroup, ...]:
    rows = await connection.fetch(
        """
        SELECT COALESCE(application_name, '') AS application,
               COALESCE(usename::text, '') AS username,
               count(*)::int AS connections
          FROM pg_catalog.pg_stat_activity
         WHERE backend_type = 'client backend'
         GROUP BY 1, 2
         ORDER BY 3 DESC, 1, 2
        """
    )
    return tuple(ConnectionGroup(row["application"], row["username"], row["connections"]) for row in rows)


def _total(groups: Iterable[ConnectionGroup]) -> int:
    return sum(group.connections for group in groups)
