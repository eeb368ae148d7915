"""Opens a sitting: takes the lock, opens the journal, begins or resumes the run, and makes its runner.

This is where the parts of the engine are put together. The wizard, the unattended run and the tests all come
in through here, each with its own operator and listener.
"""

from __future__ import annotations

import time
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import AbstractAsyncContextManager, asynccontextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path

import msgspec

from tekup_migrate.backup.folder import OPENED
from tekup_migrate.credentials.redactor import Redactor
from tekup_migrate.errors import JournalError, MigrationError
from tekup_migrate.events import Event, Listener, OutputLine, Ran, StepChanged
from tekup_migrate.gate import Gate
from tekup_migrate.journal import JOURNAL, Journal, RunMemory, RunRecord
from tekup_migrate.lock import hold
from tekup_migrate.memory import peak_memory
from tekup_migrate.phases import steps_of
from tekup_migrate.plan import Backups, Plan
from tekup_migrate.report.document import PEAK_MEMORY, Report, make_report
from tekup_migrate.runner import Runner
from tekup_migrate.steps import Context, Operator
from tekup_migrate.surroundings import Memory, Secrets, ThrowAwayServers

RESTORES = "restores"
"""The folder, beside the runs, of restores that belong to no run."""

_BACKUPS = "backups"


@dataclass(frozen=True)
class Sitting:
    """An open run: what the wizard and the unattended run work with.

    Attributes:
        plan: the consolidation.
        run: the journal's record of this run.
        resumed: whether the run was begun in an earlier sitting.
        runner: carries out the steps.
        journal: the durable record.
        context: what steps are given.
        opened: when this sitting began, in seconds since the epoch.
    """

    plan: Plan
    run: RunRecord
    resumed: bool
    runner: Runner
    journal: Journal
    context: Context
    opened: float

    def report(self) -> Report:
        """Return the report of the run as the journal now has it."""
        _remember_peak_memory(self.context.memory)
        run = self.journal.latest_run() or self.run
        return make_report(self.plan, self.runner.steps, self.journal, run)


Opening = Callable[[Operator, Listener], AbstractAsyncContextManager[Sitting]]
"""Opens a sitting for whoever answers and listens; a rehearsal also makes its world here."""


@dataclass(frozen=True)
class Surroundings:
    """What a sitting finds outside the plan.

    Attributes:
        state: the directory that keeps runs; each plan has a folder in it.
        secrets: makes the source of secrets for the operator of this sitting.
        redactor: knows every secret that is held.
        environment: the environment for child processes.
        throw_away: starts servers to restore backups into.
        rehearsal: whether everything is thrown away afterwards.
        api_addresses: by project id, where its API is asked if not at the project's own address.
        called_as: the program and options with which a terminal reaches this plan; empty where none does.
    """

    state: Path
    secrets: Callable[[Operator], Secrets]
    redactor: Redactor
    environment: Mapping[str, str]
    throw_away: ThrowAwayServers
    rehearsal: bool = False
    api_addresses: Mapping[str, str] = field(default_factory=dict)
    called_as: tuple[str, ...] = ()


@asynccontextmanager
async def open_sitting(
    plan: Plan, surroundings: Surroundings, operator: Operator, listen: Listener, *, latest: bool = False
) -> AsyncIterator[Sitting]:
    """Open a sitting of the plan's unfinished run, or of a new one when there is none.

    Args:
        plan: the consolidation.
        surroundings: what is outside of it.
        operator: whoever answers.
        listen: takes events.
        latest: open the run that was begun last, finished or not, and begin none: to take it back.

    Raises:
        RunLockedError: another process holds this plan's run.
        JournalError: the state directory or the journal cannot be used, or there is no run where one is needed.
    """
    folder = surroundings.state / plan.id
    with hold(folder):
        journal = Journal.open(folder / JOURNAL)
        try:
            _clear_left_over(folder)
            run, resumed = _begin_or_resume(journal, plan, surroundings.rehearsal, only_latest=latest)
            plan = _with_lasting_options(plan, RunMemory(journal, run.id))
            recorder = _Recorder(journal, run.id, listen, surroundings.redactor)
            context = Context(
                plan=plan,
                run=run.id,
                folder=_private_folder(folder / run.id),
                operator=operator,
                secrets=surroundings.secrets(operator),
                memory=RunMemory(journal, run.id),
                gate=Gate(),
                listen=recorder,
                environment=surroundings.environment,
                redactor=surroundings.redactor,
                throw_away=surroundings.throw_away,
                rehearsal=surroundings.rehearsal,
                api_addresses=surroundings.api_addresses,
                called_as=surroundings.called_as,
            )
            runner = Runner(steps=steps_of(plan), context=context, journal=journal)
            yield Sitting(
                plan=plan, run=run, resumed=resumed, runner=runner, journal=journal, context=context, opened=time.time()
            )
            _remember_peak_memory(context.memory)
        finally:
            journal.close()


def _clear_left_over(folder: Path) -> None:
    """Remove unsealed copies of backups that outlived their process, as after a power cut; it held the run's lock."""
    for copy in folder.glob(f"*/backups/*{OPENED}"):
        from tekup_migrate.backup.writer import clear_left_over

        with suppress(MigrationError):
            clear_left_over(copy)


def _begin_or_resume(journal: Journal, plan: Plan, rehearsal: bool, *, only_latest: bool) -> tuple[RunRecord, bool]:
    # How backups are made may change between two sittings; what is migrated may not.
    text = msgspec.json.encode(msgspec.structs.replace(plan, backups=Backups())).decode()
    latest = journal.latest_run()
    if latest is None and only_latest:
        raise JournalError(
            "There is no run to take back",
            happened=f"{journal.path} holds no run of the plan “{plan.id}”.",
            unchanged="Nothing was taken back.",
            remedy="Name the directory that keeps the run with --state DIR.",
        )
    if latest is None or (latest.finished and not only_latest):
        return journal.begin(plan=plan.id, plan_text=text, rehearsal=rehearsal), False
    if latest.plan_text != text:
        raise JournalError(
            "The plan changed since this run was begun",
            happened=f"The unfinished run {latest.id} was begun with another version of the plan “{plan.id}”.",
            unchanged="No step was run.",
            remedy="Put the plan file back as it was, or begin a new run elsewhere with --state DIR.",
        )
    return latest, True


def _with_lasting_options(plan: Plan, memory: Memory) -> Plan:
    """Return the plan with what was ever asked for its backups: a run that began sealed never goes on in the open."""
    kept = msgspec.json.decode(memory.recall(_BACKUPS) or b"{}", type=Backups)
    options = Backups(encrypt=plan.backups.encrypt or kept.encrypt, plain=plan.backups.plain or kept.plain)
    if options != kept:
        memory.remember(_BACKUPS, msgspec.json.encode(options))
    return msgspec.structs.replace(plan, backups=options)


def _remember_peak_memory(memory: Memory) -> None:
    before = int(memory.recall(PEAK_MEMORY) or b"0")
    memory.remember(PEAK_MEMORY, str(max(before, peak_memory())).encode())


def _private_folder(folder: Path) -> Path:
    folder.mkdir(mode=0o700, exist_ok=True)
    return folder


class _Recorder:
    """Keeps in the journal what ran, under the step that was running, and passes every event on, redacted."""

    def __init__(self, journal: Journal, run: str, listen: Listener, redactor: Redactor) -> None:
        self._redact = redactor.redact
        self._journal = journal
        self._run = run
        self._listen = listen
        self._step = ""

    def __call__(self, event: Event) -> None:
        if isinstance(event, StepChanged):
            self._step = event.step
        elif isinstance(event, OutputLine):
            event = OutputLine(self._redact(event.text))
        elif isinstance(event, Ran):
            event = Ran(kind=event.kind, text=self._redact(event.text), where=self._redact(event.where))
            self._journal.write_ran(self._run, self._step, kind=event.kind, location=event.where, text=event.text)
        self._listen(event)
