"""A small plan, scripted steps and a real runner over a real journal, for driving the wizard in tests."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path

import msgspec
from textual.pilot import Pilot

from screens.app import WizardApp
from screens.dialogs.dialog import Dialog
from screens.hub import HubScreen
from tekup_migrate.credentials.redactor import Redactor
from tekup_migrate.credentials.secret import Secret
from tekup_migrate.errors import MigrationError
from tekup_migrate.events import ChunkChanged, ChunkState, Listener, OutputLine, Progress, TableStarted
from tekup_migrate.gate import Gate
from tekup_migrate.journal import JOURNAL, Journal, RunMemory
from tekup_migrate.plan import Plan
from tekup_migrate.questions import Attestation, Option, Question, SecretRequest, TextRequest
from tekup_migrate.rehearsal.throw_away import throw_away_server
from tekup_migrate.runner import Runner
from tekup_migrate.sitting import Opening, Sitting
from tekup_migrate.steps import (
    Command,
    Context,
    Danger,
    DiffLine,
    Evidence,
    Figure,
    FileChange,
    Manual,
    Operator,
    Preview,
    Remark,
    Sql,
    Step,
    Undo,
    Verdict,
)
from tests.scripted import NoSecrets

PLAN = msgspec.convert(
    {
        "id": "notes",
        "title": "Notes consolidation [Århus]",
        "branch": "consolidate",
        "projects": {
            "old": {"title": "Old [north]", "ref": "old-ref", "region": "eu-west-3", "role": "source", "url": "x://"},
            "new": {"title": "New", "ref": "new-ref", "region": "eu-central-1", "role": "target", "url": "x://"},
        },
        "apps": {"notes": {"title": "Notes", "path": "~/notes", "port": 4000}},
        "phases": [
            {"id": "setup", "kind": "setup", "title": "Setup and backup", "hours": [1, 2]},
            {"id": "notes", "kind": "move", "title": "Move notes", "hours": [2, 3], "app": "notes"},
            {"id": "ledger", "kind": "adopt", "title": "Ledger [/]", "hours": [1, 1], "app": "notes"},
            {"id": "testing", "kind": "testing", "title": "Testing", "hours": [1, 2]},
            {"id": "cleanup", "kind": "cleanup", "title": "Documentation and clean-up", "hours": [1, 1]},
        ],
        "sittings": [
            {"title": "Session 1", "hours": 4, "phases": ["setup", "notes"]},
            {"title": "Session 2", "hours": 4, "phases": ["ledger", "testing", "cleanup"]},
        ],
        "moves": [{"app": "notes", "sources": ["documents"], "target": "notes_documents"}],
        "criteria": [
            {"id": "moved", "title": "The notes are moved", "steps": ["notes.copy"]},
            {"id": "kept", "title": "Old rows are kept [/]", "steps": ["setup.look"]},
        ],
    },
    Plan,
)


class ScriptedStep(Step):
    """A step that does what a test says; its world is a set of names in memory."""

    undo_note = "The former state is kept."
    why = "So that [brackets] and Danish letters, æøå, are seen to be harmless."

    def __init__(
        self,
        name: str,
        *,
        phase: str = "setup",
        title: str = "",
        danger: Danger = Danger.SAFE,
        preview: Preview | None = None,
    ) -> None:
        super().__init__(id=f"{phase}.{name}", phase=phase, title=title or f"Do {name}")
        self.danger = danger  # type: ignore[misc]
        self.undo = Undo.UNDOABLE if danger is not Danger.SAFE else Undo.NOTHING  # type: ignore[misc]
        self.applied = 0
        self.done = False
        self._preview = preview

    async def preview(self, context: Context) -> Preview:
        if self._preview is not None:
            return self._preview
        return Preview(title=self.title, target="database notes on 127.0.0.1", verb="Do it", undo=self.undo_note)

    async def apply(self, context: Context) -> None:
        self.applied += 1
        context.ran("sql", f"SELECT '{self.title}'", "old-ref")
        await self.work(context)
        self.done = True

    async def work(self, context: Context) -> None:
        """What is particular to a kind of scripted step."""

    async def verify(self, context: Context) -> Evidence:
        verdict = Verdict.PASSED if self.done else Verdict.UNVERIFIED
        facts = ("12 tables, 34 [/] rows", "Ærø: 7 rows")
        return Evidence(verdict=verdict, summary=f"{self.title} is so", facts=facts, figures=(Figure("rows", 34.0),))


class ChunkStep(ScriptedStep):
    """Reconciles tables chunk by chunk, pausing at each edge; goes on from the chunks that are done."""

    def __init__(self, name: str, *, phase: str, chunks: int = 6, seconds: float = 0.01, title: str = "") -> None:
        super().__init__(name, phase=phase, title=title or "Copy the rows")
        self.chunks = chunks
        self.seconds = seconds
        self.copied = 0

    async def work(self, context: Context) -> None:
        table = "notes_documents [/]"
        context.listen(TableStarted(table=table, rows=self.chunks * 2000, bytes=self.chunks * 4_700_000))
        for index in range(self.copied, self.chunks):
            context.listen(ChunkChanged(table=table, index=index, state=ChunkState.WAITING, rows=2000))
        while self.copied < self.chunks:
            context.gate.check()
            index = self.copied
            context.listen(ChunkChanged(table=table, index=index, state=ChunkState.COPYING, rows=2000))
            await asyncio.sleep(self.seconds)
            context.ran("sql", f"COPY (SELECT id, embedding FROM public.notes WHERE id > {index * 2000}) …", "old-ref")
            verified = ChunkState.VERIFIED
            context.listen(ChunkChanged(table=table, index=index, state=verified, rows=2000, bytes=4_700_000))
            self.copied += 1


class CountingStep(ScriptedStep):
    """Counts, and prints lines that hold whatever a program might print."""

    def __init__(
        self, name: str, *, phase: str = "setup", title: str = "", total: int = 20, seconds: float = 0
    ) -> None:
        super().__init__(name, phase=phase, title=title)
        self.total = total
        self.seconds = seconds

    async def work(self, context: Context) -> None:
        for done in range(1, self.total + 1):
            context.gate.check()
            context.listen(Progress(label="pg_dump [/]", done=done, total=self.total, unit="tables"))
            context.listen(OutputLine(f"dumping [{done}] [/bold] 漢字 \x1b[31mred\x1b[0m \x00 øl"))
            await asyncio.sleep(self.seconds)


class AttestStep(ScriptedStep):
    """Needs the operator's word."""

    answer = ""

    async def work(self, context: Context) -> None:
        request = Attestation(
            id=self.id, title="Stop the writers", instruction="Stop the worker.", address="https://example.com/x"
        )
        reply = await context.operator.attest(request)
        self.answer = f"{reply.answer.value} {reply.reason}".strip()


class ChoiceStep(ScriptedStep):
    """Needs a decision."""

    answer = ""

    async def work(self, context: Context) -> None:
        options = (
            Option("source", "Source wins", "3 rows on the target are overwritten."),
            Option("target", "Keep target", "3 rows of the source are left out."),
        )
        question = Question(title="3 rows differ on both sides", text="id 4, 5 and [/]", options=options, safe="target")
        self.answer = await context.operator.choose(question)


class LineStep(ScriptedStep):
    """Needs a name."""

    answer = "nothing asked"

    async def work(self, context: Context) -> None:
        request = TextRequest(
            title="What shall index notes[/] be called?", text="Type a name.", verb="Take it", trouble="[/] is taken."
        )
        self.answer = await context.operator.write(request)


class SecretStep(ScriptedStep):
    """Needs a secret."""

    answer: Secret | None = None

    async def work(self, context: Context) -> None:
        request = SecretRequest(
            kind="database password", project="old", why="To connect to the old project.", kept_in="memory"
        )
        self.answer = await context.operator.secret(request)


class FailingStep(ScriptedStep):
    """Fails as often as it is told to."""

    def __init__(self, name: str, *, phase: str = "setup", failures: int = 1) -> None:
        super().__init__(name, phase=phase)
        self.failures = failures

    async def work(self, context: Context) -> None:
        if self.applied <= self.failures:
            raise MigrationError(
                "The server [/] went away",
                happened="The connection to 127.0.0.1 was closed.",
                unchanged="No row was written.",
                remedy="Start the server again, then try again.",
                details="ConnectionResetError: [Errno 104]",
            )


class DefectStep(ScriptedStep):
    """Breaks in a way nobody expects."""

    async def work(self, context: Context) -> None:
        raise ZeroDivisionError("a defect that mentions hunter2")


CAREFUL = Preview(
    title="Rewrite 2 env files in Notes",
    target="~/notes/.env and ~/notes/apps/api/.env",
    verb="Rewrite 2 files",
    undo="the two files as they are now, kept encrypted in this run",
    actions=(
        Remark("The file is tracked by git [/].", warning=True),
        FileChange(
            path="apps/api/.env",
            lines=(
                DiffLine(" ", 3, 3, "# OLD (north)"),
                DiffLine("-", 4, 0, "SUPABASE_URL=https://old-ref.example.com"),
                DiffLine("+", 0, 4, "SUPABASE_URL=https://new-ref.example.com"),
                DiffLine(" ", 5, 5, "OPENAI_API_KEY=unchanged"),
            ),
        ),
        Sql('ALTER TABLE public.notes\n  ADD COLUMN "[/]" text', "database notes at 127.0.0.1:5432"),
        Command(("pnpm", "run", "build it"), "~/notes/apps/api"),
        Manual("Look at the dashboard.", "https://example.com/dashboard"),
    ),
)
DESTRUCTIVE = Preview(
    title="Drop 3 tables",
    target="database notes on new-ref (127.0.0.1:5432)",
    verb="Drop 3 tables",
    undo="pg_restore -d notes ~/backup/new-ref.dump (made 12 minutes ago)",
    destroys=("table old_notes, 120 rows", "table old_tags, 9 rows", "table old_users [/], 4 rows"),
    actions=(Sql("DROP TABLE old_notes, old_tags, old_users", "database notes at 127.0.0.1:5432"),),
)


@dataclass
class Scenery:
    """A wizard's surroundings in one directory: the same directory again is the same run, resumed."""

    folder: Path
    steps: Sequence[Step]
    plan: Plan = PLAN
    opening_seconds: float = 0.0
    refuse: MigrationError | None = None
    first: Question | None = None
    closed: int = 0
    sittings: list[Sitting] = field(default_factory=list)

    def opening(self) -> Opening:
        """Return what opens a sitting, as the command line would give it to the wizard."""
        return self._open

    @asynccontextmanager
    async def _open(self, operator: Operator, listen: Listener) -> AsyncIterator[Sitting]:
        for done in range(10 if self.opening_seconds else 0):
            listen(Progress(label="making servers", done=done, total=10, unit="parts"))
            listen(OutputLine(f"initdb [{done}]"))
            await asyncio.sleep(self.opening_seconds / 10)
        if self.refuse is not None:
            raise self.refuse
        if self.first is not None:
            await operator.choose(self.first)
        self.folder.mkdir(parents=True, exist_ok=True)
        journal = Journal.open(self.folder / JOURNAL)
        latest = journal.latest_run()
        resumed = latest is not None and not latest.finished
        run = latest if latest is not None and resumed else journal.begin(plan="notes", plan_text="", rehearsal=True)
        context = Context(
            plan=self.plan,
            run=run.id,
            folder=self.folder,
            operator=operator,
            secrets=NoSecrets(),
            memory=RunMemory(journal, run.id),
            gate=Gate(),
            listen=listen,
            environment={},
            redactor=Redactor([Secret("hunter2", kind="password")]),
            throw_away=throw_away_server,
            rehearsal=True,
        )
        runner = Runner(steps=self.steps, context=context, journal=journal)
        sitting = Sitting(
            plan=self.plan,
            run=run,
            resumed=resumed,
            runner=runner,
            journal=journal,
            context=context,
            opened=time.time(),
        )
        self.sittings.append(sitting)
        try:
            yield sitting
        finally:
            self.closed += 1
            journal.close()

    def app(self) -> WizardApp:
        """Return a wizard over this scenery."""
        return WizardApp(plan=self.plan, opening=self.opening(), rehearsal=True)


def every_phase() -> list[Step]:
    """Return steps for each phase of the plan, of every kind of danger."""
    return [
        ScriptedStep("look", title="Look at both databases"),
        CountingStep("backup", title="Back up both databases"),
        AttestStep("writers", phase="notes", title="Stop what writes"),
        ScriptedStep("tables", phase="notes", title="Create 3 tables", danger=Danger.CAREFUL, preview=CAREFUL),
        ChunkStep("copy", phase="notes"),
        ScriptedStep("old", phase="ledger", title="Drop old tables", danger=Danger.DESTRUCTIVE, preview=DESTRUCTIVE),
        ScriptedStep("alone", phase="testing", title="Start each app alone"),
        ScriptedStep("readme", phase="cleanup", title="Write the README"),
    ]


async def until(pilot: Pilot[int], condition: object, *, seconds: float = 10.0) -> None:
    """Wait until ``condition()`` holds; fails with what is on screen when it does not in time."""
    assert callable(condition)
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, f"not in time; in front is {pilot.app.screen!r}"
        await pilot.pause(0.02)


def shown(pilot: Pilot[int]) -> str:
    """Return the text that is painted on the screen in front, line by line."""
    strips = pilot.app.screen._compositor.render_strips()
    return "\n".join(strip.text.rstrip() for strip in strips)


async def started(pilot: Pilot[int]) -> None:
    """Wait for the hub, and start the run by the key."""
    await until(pilot, lambda: isinstance(pilot.app.screen, HubScreen))
    await pilot.press("enter")


async def heard(pilot: Pilot[int]) -> None:
    """Wait until the dialog in front listens."""
    await until(pilot, lambda: isinstance(pilot.app.screen, Dialog) and not pilot.app.screen.has_class("-deaf"))
    await pilot.pause(0.02)
