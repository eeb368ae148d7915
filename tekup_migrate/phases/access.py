"""How steps reach the plan's databases: the project's URL and password become a connection or a side."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

from tekup_migrate.errors import ConnectionFailedError, MigrationError
from tekup_migrate.steps import Context

if TYPE_CHECKING:
    import asyncpg

    from tekup_migrate.credentials.secret import Secret
    from tekup_migrate.postgres.dsn import ConnectionUrl
    from tekup_migrate.postgres.pasted import Reading
    from tekup_migrate.postgres.side import Side


def url_of(context: Context, project_id: str) -> ConnectionUrl:
    """Return a project's connection URL: the one that the operator gave in this run, else the plan's."""
    from tekup_migrate.postgres.dsn import parse_url

    given = context.memory.recall(url_note(project_id))
    return parse_url(given.decode() if given is not None else context.project(project_id).url).url


def url_note(project_id: str) -> str:
    """Return the key of the note that holds the URL, without a password, that the operator gave for a project."""
    return f"url.{project_id}"


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
    connection = await agree(context, project_id)
    try:
        async with clear_errors(context, project_id):
            yield connection
    finally:
        connection.terminate()


async def agree(context: Context, project_id: str) -> asyncpg.Connection:
    """Connect with what is known; where that fails, let the operator correct it until it works.

    What worked is kept: the password where secrets are kept, the URL in the run's notes, so that every later step
    and sitting uses both.

    Raises:
        ConnectionFailedError: it did not work, and the operator has nothing else to try now.
        MigrationError: there is no password, and the operator did not give one.
    """
    from tekup_migrate.errors import PasswordRefusedError
    from tekup_migrate.postgres.connection import connect
    from tekup_migrate.secret_source import PASSWORD

    url, trouble = url_of(context, project_id), None
    password = await context.secrets.known(project_id, PASSWORD)
    while True:
        if password is not None:
            try:
                connection = await connect(url, password, region=context.project(project_id).region)
            except MigrationError as error:
                trouble = error.redacted(context.redact)
                if isinstance(error, PasswordRefusedError):
                    context.secrets.doubt(project_id, PASSWORD, f"{error.title}. {error.happened}")
            else:
                await _keep(context, project_id, url, password)
                return connection
        reading = await _ask(context, project_id, str(url), password, trouble)
        if reading is None:
            raise trouble or _unknown(context, project_id)
        url, password = reading.url, reading.password


async def _ask(
    context: Context, project_id: str, text: str, password: Secret | None, trouble: MigrationError | None
) -> Reading | None:
    """Ask until what the operator gives can be connected to; None when it is not at hand now."""
    from tekup_migrate.postgres.pasted import read_pasted
    from tekup_migrate.questions import ConnectionRequest

    project = context.project(project_id)
    while True:
        answer = await context.operator.connection(
            ConnectionRequest(
                title=project.title,
                ref=project.ref,
                region=project.region,
                text=text,
                planned=project.url,
                password=password,
                trouble=trouble,
                kept_in=context.secrets.kept_in,
            )
        )
        if answer is None:
            return None
        if answer.password is not None:
            context.redactor.hold(answer.password)
        text, password = answer.text, answer.password
        try:
            reading = read_pasted(text, password=password, ref=project.ref, region=project.region)
        except ConnectionFailedError as error:
            trouble = error
            continue
        if reading.password is not None:
            context.redactor.hold(reading.password)
        text, password = str(reading.url), reading.password
        if not reading.fatal and password is not None:
            return reading
        trouble = _cannot_be(reading)


async def _keep(context: Context, project_id: str, url: ConnectionUrl, password: Secret) -> None:
    """Keep what connected for the later steps and sittings."""
    from tekup_migrate.secret_source import PASSWORD

    if await context.secrets.known(project_id, PASSWORD) != password:
        await context.secrets.replace(project_id, PASSWORD, password)
    if url != url_of(context, project_id):
        context.memory.remember(url_note(project_id), str(url).encode())
        context.ran(
            "note", f"From now on this run connects as {url.user} to {url.label}", label_of(context, project_id)
        )


def _cannot_be(reading: Reading) -> ConnectionFailedError:
    if not reading.fatal:
        return ConnectionFailedError(
            "The password is missing",
            happened="Neither the URL nor the line for the password holds one.",
            unchanged="Nothing was connected to.",
            remedy="It is in the project's database settings; the dashboard shows it only when it is made.",
        )
    return ConnectionFailedError(
        "This cannot be the right connection",
        happened=" ".join(found.message for found in reading.fatal),
        unchanged="Nothing was connected to.",
        remedy=" ".join(found.remedy for found in reading.fatal),
    )


def _unknown(context: Context, project_id: str) -> MigrationError:
    from tekup_migrate.secret_source import PASSWORD, variable

    title = context.project(project_id).title
    return MigrationError(
        f"The password of {title} is not known",
        happened="It is needed to connect to its database, and is neither stored nor given.",
        unchanged="Nothing was connected to or written.",
        remedy=f"Give it when you are asked, or set {variable(project_id, PASSWORD)} in the environment.",
    )


@asynccontextmanager
async def side_of(context: Context, project_id: str) -> AsyncIterator[Side]:
    """Hold a side (a few connections) of a project for the length of the block."""
    from tekup_migrate.postgres.side import Side

    (await agree(context, project_id)).terminate()
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
