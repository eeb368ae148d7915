"""What an env rewrite is about: the plan's keys, the other env files, and every other mention of the old project."""

from __future__ import annotations

import codecs
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import unquote, urlsplit

from tekup_migrate.phases.access import url_of
from tekup_migrate.plan import App, EnvFile
from tekup_migrate.steps import Context

if TYPE_CHECKING:
    from tekup_migrate.credentials.secret import Secret
    from tekup_migrate.envfiles.former import FormerFile
    from tekup_migrate.envfiles.places import FilePlaces
    from tekup_migrate.envfiles.search import PassedOver
    from tekup_migrate.envfiles.successor import Successor

ANON_KEY, SERVICE_KEY = "anon key", "service key"
_KEYS = {"anon_key": ANON_KEY, "service_key": SERVICE_KEY}
_SHORTEST = 8
"""A former value below this length is not looked for elsewhere: it could mean anything."""


@dataclass(frozen=True)
class Survey:
    """What was found in an app's repository.

    Attributes:
        files: the plan's env files, then other env files, then other tracked files, each with its places.
        passed_over: tracked files that were not searched, or cannot be rewritten.
        missing: what the plan names and a file does not have, a line each.
        without: the plan's files that have none of the keys that the plan names in them.
    """

    files: tuple[FilePlaces, ...]
    passed_over: tuple[PassedOver, ...]
    missing: tuple[str, ...]
    without: tuple[str, ...]


async def survey(context: Context, app: App, formers: Sequence[FormerFile]) -> Survey:
    """Look through an app's repository; reads only.

    Args:
        context: what the step works with.
        app: whose repository.
        formers: the files that were rewritten already, whose former values tell what to look for.

    Raises:
        MigrationError: a file cannot be read, or a value cannot be written so that every reader reads it.
    """
    from tekup_migrate.envfiles.places import env_places
    from tekup_migrate.envfiles.rewrite import read_bytes, read_values, real_path

    planned = tuple(file for file in app.env_files if file.rewrite)
    read = {file.path: read_bytes(real_path(app.directory / file.path)) for file in planned}
    wanted = {file.path: await _wanted(context, file, read_values(read[file.path])) for file in planned}
    successor = await _successor(context, app, planned, wanted, formers)
    files = [
        env_places(name, app.directory / name, content, wanted=wanted[name], successor=successor)
        for name, content in read.items()
    ]
    found, passed_over = await _elsewhere(app, successor, {file.real for file in files})
    missing = tuple(line for file in planned for line in _missing(file, read[file.path], wanted[file.path]))
    without = tuple(file.path for file in planned if not wanted[file.path])
    return Survey((*files, *found), passed_over, missing, without)


def _missing(file: EnvFile, content: bytes, wanted: Collection[str]) -> Iterator[str]:
    """Say which keys that the plan names a file does not have, as far as its readers agree."""
    from tekup_migrate.envfiles.document import EnvDocument

    absent = [key for key in file.rewrite if key not in wanted]
    if absent and content[:2] in (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE):
        yield f"{file.path} is written in UTF-16, which no reader of env files reads: save it as UTF-8"
        return
    document = EnvDocument.parse(content)
    disputed = {key: line for key in absent if (line := document.disputed(key)) is not None}
    for key, line in disputed.items():
        yield f"{file.path}: line {line} sets {key} as only some readers read it: put it right by hand"
    absent = [key for key in absent if key not in disputed]
    if absent:
        yield f"{file.path} has no {', '.join(absent)}: nothing is added to it"


async def wanted_value(context: Context, what: str, now: str) -> Secret | str:
    """Return what an env key shall hold; ``what`` is the plan's word for it, ``now`` its present value."""
    project_id = context.plan.project_id("target")
    project = context.plan.target
    match what:
        case "url":
            return project.address
        case "ref":
            return project.ref
        case "anon_key" | "service_key":
            return await context.secrets.key(project_id, _KEYS[what])
        case "password":
            return await context.secrets.password(project_id)
    return _database_url(context, await context.secrets.password(project_id), now or str(url_of(context, project_id)))


def _database_url(context: Context, password: Secret | None, former: str) -> Secret:
    from tekup_migrate.envfiles.connection_url import rewritten_url

    url = url_of(context, context.plan.project_id("target"))
    # The app's own query string (schema, pool parameters) stays; the transaction pooler is fine for an app.
    return rewritten_url(
        former,
        user=url.user,
        password=password,
        host=url.host,
        port=url.port,
        database=url.database,
        project=context.plan.target.ref,
    )


async def _wanted(context: Context, file: EnvFile, now: Mapping[str, str | None]) -> dict[str, Secret | str]:
    from tekup_migrate.envfiles.errors import EnvFileError

    wanted: dict[str, Secret | str] = {}
    for key, what in file.rewrite.items():
        if key not in now:
            continue
        try:
            wanted[key] = await wanted_value(context, what, now[key] or "")
        except EnvFileError as error:
            raise EnvFileError(
                f"{file.path}: {key}: {error.title[0].lower()}{error.title[1:]}",
                happened=error.happened,
                unchanged=error.unchanged,
                remedy=error.remedy,
            ) from error
    return wanted


async def _successor(
    context: Context,
    app: App,
    planned: Sequence[EnvFile],
    wanted: Mapping[str, Mapping[str, Secret | str]],
    formers: Sequence[FormerFile],
) -> Successor:
    """Return who knows the old project: by its ref and hosts, and by the values that the app had of it."""
    import asyncio

    from tekup_migrate.credentials.keys import KeyKind
    from tekup_migrate.envfiles.successor import Successor, old_words

    plan = context.plan
    old_url = url_of(context, plan.project_id("source"))
    named = {what for file in planned for what in file.rewrite.values()}
    target = plan.project_id("target")
    kinds = {"anon_key": KeyKind.ANON, "service_key": KeyKind.SERVICE}
    keys = {str(kinds[what]): await context.secrets.key(target, _KEYS[what]) for what in kinds if what in named}
    password = await context.secrets.password(target)
    former_values = await asyncio.to_thread(lambda: dict(_former_values(app, planned, wanted, formers)))
    values = {**dict(_passwords(former_values, password)), **former_values}
    return Successor(
        ref=plan.source.ref,
        words=old_words(_words(context)),
        values=values,
        keys=keys,
        url=partial(_url_or_none, context, password),
        endpoints=frozenset({(old_url.host, old_url.port)}),
    )


def _passwords(values: Mapping[str, Secret | str], new: Secret) -> Iterator[tuple[str, Secret | str]]:
    """Yield the passwords of former database URLs with the new one: some keys hold a password alone."""
    from tekup_migrate.credentials.patterns import secret_forms

    for value in values:
        for found in secret_forms(value):
            old = found.secret.reveal()
            if found.secret.kind == "password" and old != new.reveal() and len(old) >= _SHORTEST:
                yield old, new
                yield unquote(old), new


def _url_or_none(context: Context, password: Secret, former: str) -> Secret | None:
    from tekup_migrate.credentials.patterns import secret_forms
    from tekup_migrate.envfiles.errors import EnvFileError

    # A placeholder stays one: where no password stood, none is written.
    holds_one = any(found.secret.kind == "password" for found in secret_forms(former))
    try:
        return _database_url(context, password if holds_one else None, former)
    except EnvFileError:
        return None


def _words(context: Context) -> Iterator[tuple[str, str]]:
    source, target = context.plan.source, context.plan.target
    yield source.ref, target.ref
    yield source.address, target.address
    yield urlsplit(source.address).netloc, urlsplit(target.address).netloc
    old_host = url_of(context, context.plan.project_id("source")).host
    if source.ref not in old_host and ".pooler." not in old_host:
        yield old_host, url_of(context, context.plan.project_id("target")).host


def _former_values(
    app: App,
    planned: Sequence[EnvFile],
    wanted: Mapping[str, Mapping[str, Secret | str]],
    formers: Sequence[FormerFile],
) -> Iterator[tuple[str, Secret | str]]:
    """Yield what the keys that the plan names held and hold, with what they shall hold."""
    from tekup_migrate.credentials.keys import is_placeholder
    from tekup_migrate.envfiles.rewrite import read_bytes, read_values

    before = {former.path: former.content for former in formers}
    for file in planned:
        path = (app.directory / file.path).absolute()
        for content in (before.get(path, b""), read_bytes(path)):
            values = read_values(content)
            for key, new in wanted[file.path].items():
                old = values.get(key) or ""
                same = old == (new if isinstance(new, str) else new.reveal())
                if len(old) >= _SHORTEST and not same and not is_placeholder(old):
                    yield old, new


async def _elsewhere(
    app: App, successor: Successor, known: set[Path]
) -> tuple[tuple[FilePlaces, ...], tuple[PassedOver, ...]]:
    import asyncio

    from tekup_migrate.envfiles.places import FilePlaces as Places
    from tekup_migrate.envfiles.search import PassedOver as Unsearched
    from tekup_migrate.envfiles.search import find_env_files, find_mentions, is_env_name
    from tekup_migrate.git.program import GitError
    from tekup_migrate.git.repository import Repository
    from tekup_migrate.report.readme import BEGIN, END

    names = await asyncio.to_thread(find_env_files, app.directory)
    unsearched: tuple[PassedOver, ...] = ()
    others: list[str] = []
    try:
        repository = await Repository.open(app.directory)
        tracked = _below(app.directory, repository.root, await repository.tracked_files())
        others = [name for name in tracked if not is_env_name(Path(name).name)]
    except GitError as error:
        unsearched = (Unsearched(app.directory.name, f"only env files were searched: {error.title}"),)

    def search() -> list[Places | Unsearched]:
        """Read every file; slow enough for a thread."""
        envs = _other_env_files(app.directory, names, successor, known)
        own = (BEGIN.encode(), END.encode())
        return [*envs, *find_mentions(app.directory, others, successor, own=own)]

    found = await asyncio.to_thread(search)
    files = tuple(each for each in found if isinstance(each, Places))
    return files, (*unsearched, *(each for each in found if not isinstance(each, Places)))


def _other_env_files(
    directory: Path, names: Sequence[str], successor: Successor, known: set[Path]
) -> Iterator[FilePlaces | PassedOver]:
    from tekup_migrate.envfiles.places import env_places
    from tekup_migrate.envfiles.search import PassedOver

    seen = set(known)
    for name in names:
        path = directory / name
        try:
            real = path.resolve(strict=True)
            if real in seen or not real.is_file():
                continue
            seen.add(real)
            content = real.read_bytes()
        except (OSError, RuntimeError) as error:
            reason = error.strerror if isinstance(error, OSError) else str(error)
            yield PassedOver(name, f"it cannot be read: {reason}")
            continue
        places = env_places(name, path, content, wanted={}, successor=successor)
        if places.places:
            yield places


def _below(directory: Path, root: Path, names: Sequence[str]) -> tuple[str, ...]:
    """Return the names that are inside ``directory``, relative to it."""
    inside = directory.resolve().relative_to(root.resolve()).as_posix()
    if inside == ".":
        return tuple(names)
    return tuple(name.removeprefix(f"{inside}/") for name in names if name.startswith(f"{inside}/"))
