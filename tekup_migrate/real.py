"""Opens a sitting on the plan's real projects, and compares them without one."""

from __future__ import annotations

import os
from collections.abc import AsyncIterator, Iterable
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import replace
from pathlib import Path

from tekup_migrate.credentials.keyring_store import open_store
from tekup_migrate.credentials.redactor import Redactor
from tekup_migrate.credentials.store import CredentialStore
from tekup_migrate.errors import JournalError, MigrationError
from tekup_migrate.events import Listener, Ran
from tekup_migrate.gate import Gate
from tekup_migrate.journal import JOURNAL, Journal
from tekup_migrate.phases.access import url_note
from tekup_migrate.phases.comparing import compare, rows_evidence
from tekup_migrate.phases.made_tables import made_tables, with_made
from tekup_migrate.phases.resolutions import all_moves, resolutions_note
from tekup_migrate.plan import Plan
from tekup_migrate.postgres.dsn import parse_url
from tekup_migrate.rehearsal.throw_away import throw_away_server
from tekup_migrate.secret_source import SecretSource, taken_from
from tekup_migrate.sitting import RESTORES, Opening, Sitting, Surroundings, open_sitting
from tekup_migrate.steps import Context, Evidence, Operator, Verdict
from tekup_migrate.store_choice import choose_store
from tekup_migrate.unattended import UnattendedOperator


def real_opening(plan: Plan, state: Path, *, latest: bool = False, called_as: tuple[str, ...] = ()) -> Opening:
    """Return what opens a sitting on the plan's own projects, with its runs kept in ``state``.

    With ``latest`` it is the run that was begun last, finished or not; see ``open_sitting``. ``called_as`` is how a
    terminal reaches this plan and state.
    """

    @asynccontextmanager
    async def opening(operator: Operator, listen: Listener) -> AsyncIterator[Sitting]:
        """Open the sitting, with its secrets kept where the operator chose."""
        store = await choose_store(operator, listen, state)
        surroundings = _surroundings(plan, state, store, called_as)
        async with open_sitting(plan, surroundings, operator, listen, latest=latest) as sitting:
            yield sitting

    return opening


def restoring_opening(plan: Plan, state: Path, *, called_as: tuple[str, ...] = ()) -> Opening:
    """Return what opens a sitting to restore a backup in: the run that was begun last, else one for restores alone.

    A backup must also be restorable where its run's journal is lost, damaged, or of an earlier version of the plan.
    """

    @asynccontextmanager
    async def opening(operator: Operator, listen: Listener) -> AsyncIterator[Sitting]:
        """Open it for the length of the block."""
        store = await choose_store(operator, listen, state)
        surroundings = _surroundings(plan, state, store, called_as)
        async with AsyncExitStack() as stack:
            try:
                latest = open_sitting(plan, surroundings, operator, listen, latest=True)
                sitting = await stack.enter_async_context(latest)
            except JournalError as error:
                listen(Ran(kind="note", text=f"{error.title}: the restore is kept in a journal of its own."))
                apart = replace(surroundings, state=state / RESTORES)
                sitting = await stack.enter_async_context(open_sitting(plan, apart, operator, listen))
            yield sitting

    return opening


def _surroundings(plan: Plan, state: Path, store: CredentialStore, called_as: tuple[str, ...] = ()) -> Surroundings:
    redactor = Redactor()
    given = taken_from(os.environ)
    environment = dict(os.environ)

    def secrets(operator: Operator) -> SecretSource:
        """Return the source of secrets that asks this operator for what nobody has given."""
        return SecretSource(plan=plan, operator=operator, store=store, redactor=redactor, environment=given, given={})

    return Surroundings(
        state=state,
        secrets=secrets,
        redactor=redactor,
        environment=environment,
        throw_away=throw_away_server,
        called_as=called_as,
    )


def require_loopback(plan: Plan) -> None:
    """Refuse a plan that names a database which is not on this machine.

    Raises:
        MigrationError: it does; nobody would be asked before something real is changed.
    """
    for project in plan.projects.values():
        url = parse_url(project.url).url
        if not url.is_loopback:
            raise MigrationError(
                "An unattended run is for databases on this machine only",
                happened=f"The plan's project “{project.title}” is at {url.label}.",
                unchanged="Nothing was connected to.",
                remedy="Use the wizard, `tekup-migrate`, which asks before it changes anything.",
            )


async def verify(plan: Plan, state: Path) -> Evidence:
    """Compare every moved table row by row on both sides, reading only.

    What keeps it from telling (no connection, hidden rows, unlike tables) is ``unverified``, never ``passed``.
    """
    surroundings = _surroundings(plan, state, (await open_store()).store)
    operator = UnattendedOperator()
    context = Context(
        plan=plan,
        run="",
        folder=state,
        operator=operator,
        secrets=surroundings.secrets(operator),
        memory=_ShortMemory(given_urls(plan, state) | decisions(plan, state)),
        gate=Gate(),
        listen=lambda event: None,
        environment=surroundings.environment,
        redactor=surroundings.redactor,
        throw_away=surroundings.throw_away,
    )
    try:
        moves = all_moves(context)
        return with_made(rows_evidence(await compare(context, moves)), await made_tables(context, moves))
    except MigrationError as error:
        return _could_not_tell(error)


def _could_not_tell(error: MigrationError) -> Evidence:
    return Evidence(verdict=Verdict.UNVERIFIED, summary=error.title, facts=(error.happened, error.remedy))


def given_urls(plan: Plan, state: Path) -> dict[str, bytes]:
    """Return the URLs, without passwords, that the operator gave in the latest run, as its notes."""
    return _latest_notes(plan, state, [url_note(name) for name in plan.projects])


def decisions(plan: Plan, state: Path) -> dict[str, bytes]:
    """Return what the operator decided about the moved tables in the latest run, such as other names, as its notes."""
    return _latest_notes(plan, state, [resolutions_note(app) for app in plan.apps])


def _latest_notes(plan: Plan, state: Path, keys: Iterable[str]) -> dict[str, bytes]:
    journal = Journal.open_existing(state / plan.id / JOURNAL)
    if journal is None:
        return {}
    try:
        run = journal.latest_run()
        notes = {key: journal.recall(run.id, key) for key in keys} if run else {}
        return {key: note for key, note in notes.items() if note is not None}
    finally:
        journal.close()


class _ShortMemory:
    """Notes that end with the process: comparing leaves no trace."""

    def __init__(self, notes: dict[str, bytes]) -> None:
        self._notes = notes

    def remember(self, key: str, value: bytes) -> None:
        """Keep ``value`` until the process ends."""
        self._notes[key] = value

    def recall(self, key: str) -> bytes | None:
        """Return what was kept, or None."""
        return self._notes.get(key)

    def forget(self, key: str) -> None:
        """Drop what was kept under ``key``."""
        self._notes.pop(key, None)
