"""One project of the sample world: an embedded server that looks like it, and its keys."""

from __future__ import annotations

import asyncio
from contextlib import AsyncExitStack
from dataclasses import dataclass
from pathlib import Path

from tekup_migrate.credentials.secret import Secret
from tekup_migrate.errors import MigrationError
from tekup_migrate.plan import Project
from tekup_migrate.rehearsal.directory import RehearsalDirectory
from tekup_migrate.rehearsal.keys import ProjectKeys, make_keys
from tekup_migrate.rehearsal.server import EmbeddedServer, start_server
from tekup_migrate.rehearsal.supabase import (
    GrantRegime,
    SupabaseDatabase,
    install_roles,
    install_schemas,
    make_password,
    owned_database,
)
from tekup_migrate.rehearsal.template import Lookup, fill_in

_MAJORS = {"source": 16, "target": 18}
_GRANTS = {"source": GrantRegime.EVERYTHING, "target": GrantRegime.NOTHING}
_DATABASE = "postgres"


@dataclass(frozen=True, kw_only=True)
class WorldProject:
    """One project of the sample world, with everything an operator would be asked for."""

    ref: str
    server: EmbeddedServer
    database: SupabaseDatabase
    keys: ProjectKeys

    @property
    def password(self) -> Secret:
        """The password of ``postgres``."""
        return self.database.password


async def start_project(project: Project, directory: RehearsalDirectory, stack: AsyncExitStack) -> WorldProject:
    """Start a project's server; ``stack`` gets what stops it.

    Raises:
        MigrationError: the server does not start.
    """
    server = await start_server(directory, name=project.role, major=_MAJORS[project.role])
    stack.push_async_callback(server.stop)
    password = make_password(project.ref)
    await install_roles(server, password)
    await install_schemas(server, _DATABASE, grants=_GRANTS[project.role])
    return WorldProject(
        ref=project.ref,
        server=server,
        database=owned_database(server, _DATABASE, password),
        keys=make_keys(project.ref),
    )


async def fill_project(project: WorldProject, template: Path, lookup: Lookup) -> None:
    """Run a template of SQL as ``postgres``.

    Raises:
        MigrationError: the template or a statement in it is wrong.
    """
    import asyncpg

    content = await asyncio.to_thread(template.read_bytes)
    sql = await asyncio.to_thread(fill_in, content, lookup, source=template)
    connection = await project.database.connect()
    try:
        await connection.execute("SET statement_timeout = 0")
        await connection.execute(sql.decode("utf-8"))
    except asyncpg.PostgresError as error:
        raise MigrationError(
            "The sample data cannot be made",
            happened=f"{template}: {error}",
            unchanged="Nothing outside the rehearsal's own directory was touched.",
            remedy="Mend that file.",
            details=str(error.as_dict()),
        ) from error
    finally:
        await connection.close()
