"""How steps reach the plan's databases: the project's URL and password become a connection or a side."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

from tekup_migrate.errors import MigrationError
from tekup_migrate.steps import Context

if TYPE_CHECKING:
    import asyncpg

    from tekup_migrate.postgres.dsn import ConnectionUrl
    from tekup_migrate.postgres.side import Side


def url_of(context: Context, project_id: str) -> ConnectionUrl:
    """Return a project's connection URL."""
    from tekup_migrate.postgres.dsn import parse_url

    return parse_url(context.project(project_id).url).url


def label_of(context: Context, project_id: str) -> str:
    """Return how a project's database is named in a dialog: its title, ref, host, port and database."""
    project = context.project(project_id)
    return f"{project.title} · {project.ref} · {url_of(context, project_id).label}"


@asynccontextmanager
async def connected(context: Context, project_id: str) -> AsyncIterator[asyncpg.Connection]:
    """Connect to a project for the length of the block.

    Raises:
        ConnectionFailedError: it could not be reached, or refused us.
        MigrationError: a statement failed or the connection broke; the server's own words are in it.
    """
    from tekup_migrate.postgres.connection import connect

    connection = await connect(url_of(context, project_id), await context.secrets.password(project_id))
    try:
        async with clear_errors(context, project_id):
            yield connection
    finally:
        connection.terminate()


@asynccontextmanager
async def side_of(context: Context, project_id: str) -> AsyncIterator[Side]:
    """Hold a side (a few connections) of a project for the length of the block."""
    from tekup_migrate.postgres.side import Side

    password = await context.secrets.password(project_id)
    async with Side(url_of(context, project_id), password) as side, clear_errors(context, project_id):
        yield side


@asynccontextmanager
async def both_sides(context: Context) -> AsyncIterator[tuple[Side, Side]]:
    """Hold the source's and the target's side for the length of the block."""
    plan = context.plan
    async with (
        side_of(context, plan.project_id("source")) as source,
        side_of(context, plan.project_id("target")) as target,
    ):
        yield source, target


@asynccontextmanager
async def both_connected(context: Context) -> AsyncIterator[tuple[asyncpg.Connection, asyncpg.Connection]]:
    """Connect to source and target for the length of the block."""
    plan = context.plan
    async with (
        connected(context, plan.project_id("source")) as source,
        connected(context, plan.project_id("target")) as target,
    ):
        yield source, target


@asynccontextmanager
async def clear_errors(context: Context, project_id: str) -> AsyncIterator[None]:
    """Turn what the driver raises into an error that the operator can act on."""
    import asyncpg

    try:
        yield
    except (asyncpg.PostgresError, asyncpg.InterfaceError, asyncpg.InternalClientError, ConnectionError) as error:
        raise MigrationError(
            f"{context.project(project_id).title} refused a statement or went away",
            happened=f"{url_of(context, project_id).label}: {error}.",
            unchanged="The transaction it was in was rolled back; everything before it stands.",
            remedy="Mend what the server names, then run the step again; it goes on from what is there.",
            details=f"{type(error).__name__}: {getattr(error, 'detail', None) or ''}".strip(),
        ) from error
