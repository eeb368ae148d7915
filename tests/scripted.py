"""Steps, operators and contexts for tests of the runner: real objects whose world is a dictionary or a file."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from tekup_migrate.credentials.redactor import Redactor
from tekup_migrate.credentials.seal import Seal
from tekup_migrate.credentials.secret import Secret
from tekup_migrate.events import Event
from tekup_migrate.gate import Gate
from tekup_migrate.journal import Journal, RunMemory
from tekup_migrate.plan import BUILT_IN, Plan, read_plan
from tekup_migrate.questions import (
    Answer,
    Attestation,
    ConnectionAnswer,
    ConnectionRequest,
    Question,
    Reply,
    SecretRequest,
    TextRequest,
)
from tekup_migrate.rehearsal.throw_away import throw_away_server
from tekup_migrate.steps import Context, Danger, Evidence, Preview, Step, Undo, Verdict
from tekup_migrate.surroundings import Secrets


class FileStep(Step):
    """A step whose world is one file: applied when it holds the step's text."""

    undo = Undo.UNDOABLE
    undo_note = "The file is removed."

    def __init__(self, path: Path, *, danger: Danger = Danger.CAREFUL, name: str = "write", phase: str = "one") -> None:
        super().__init__(id=f"{phase}.{name}", phase=phase, title=f"Write {name}")
        self.path = path
        self.danger = danger  # type: ignore[misc]
        self.applied = 0
        self.before_apply: Callable[[Context], None] = lambda context: None

    async def preview(self, context: Context) -> Preview:
        world = self.path.read_text(encoding="utf-8") if self.path.exists() else ""
        return Preview(title=self.title, target=str(self.path), verb="Write it", undo=self.undo_note, world=(world,))

    async def apply(self, context: Context) -> None:
        self.applied += 1
        self.before_apply(context)
        self.path.write_text(self.id, encoding="utf-8")
        context.ran("file", f"wrote {self.id}", str(self.path))

    async def verify(self, context: Context) -> Evidence:
        holds = self.path.exists() and self.path.read_text(encoding="utf-8") == self.id
        return Evidence(verdict=Verdict.PASSED if holds else Verdict.DIFFERS, summary="as written" if holds else "not")


@dataclass
class ScriptedOperator:
    """Answers from a script, in order, and remembers what it was asked; goes ahead when the script is empty."""

    replies: list[Reply] = field(default_factory=list)
    choices: list[str] = field(default_factory=list)
    texts: list[str] = field(default_factory=list)
    written: list[TextRequest] = field(default_factory=list)
    secrets: list[str] = field(default_factory=list)
    connections: list[ConnectionAnswer] = field(default_factory=list)
    requests: list[ConnectionRequest] = field(default_factory=list)
    troubles: list[str] = field(default_factory=list)
    asked: list[str] = field(default_factory=list)
    previews: list[tuple[str, Preview]] = field(default_factory=list)
    before_reply: Callable[[], object] = lambda: None

    async def confirm(self, step: Step, preview: Preview) -> Reply:
        self.asked.append(f"confirm {step.id}")
        self.previews.append((step.id, preview))
        self.before_reply()
        return self.replies.pop(0) if self.replies else Reply(Answer.PROCEED)

    async def choose(self, question: Question) -> str:
        self.asked.append(f"choose {question.title}")
        return self.choices.pop(0) if self.choices else question.safe

    async def write(self, request: TextRequest) -> str:
        self.asked.append(f"write {request.title}")
        self.written.append(request)
        return self.texts.pop(0) if self.texts else ""

    async def secret(self, request: SecretRequest) -> Secret | None:
        self.asked.append(f"secret {request.kind}")
        self.troubles.append(request.trouble)
        return Secret(self.secrets.pop(0), kind=request.kind) if self.secrets else None

    async def connection(self, request: ConnectionRequest) -> ConnectionAnswer | None:
        self.asked.append(f"connection {request.ref}")
        self.requests.append(request)
        return self.connections.pop(0) if self.connections else None

    async def attest(self, request: Attestation) -> Reply:
        self.asked.append(f"attest {request.id}")
        return Reply(Answer.PROCEED)


class NoSecrets:
    """A source of secrets for steps that need none."""

    lasting = False

    async def password(self, project_id: str) -> Secret:
        raise AssertionError(project_id)

    async def key(self, project_id: str, kind: str) -> Secret:
        raise AssertionError(project_id, kind)

    kept_in = "nowhere"

    def doubt(self, project_id: str, kind: str, reason: str) -> None:
        raise AssertionError(project_id, kind)

    async def replace(self, project_id: str, kind: str, secret: Secret) -> None:
        raise AssertionError(project_id, kind)

    async def kept(self, project_id: str) -> tuple[str, ...]:
        return ()

    async def known(self, project_id: str, kind: str) -> Secret | None:
        raise AssertionError(project_id, kind)

    async def forget(self, project_id: str) -> None:
        raise AssertionError(project_id)

    async def keep_again(self, project_id: str) -> None:
        raise AssertionError(project_id)

    async def seal(self) -> Seal:
        raise AssertionError

    async def backup_key(self, project_id: str, *, make: bool = False) -> Secret | None:
        return None


def make_context(
    folder: Path,
    journal: Journal,
    *,
    operator: ScriptedOperator | None = None,
    events: list[Event] | None = None,
    plan: Plan | None = None,
    secrets: Secrets | None = None,
    api_addresses: Mapping[str, str] | None = None,
) -> Context:
    """Return a context of a new run, or of the journal's latest one when there is one."""
    plan = plan or read_plan(BUILT_IN)
    run = journal.latest_run() or journal.begin(plan=plan.id, plan_text="", rehearsal=True)
    return Context(
        plan=plan,
        run=run.id,
        folder=folder,
        operator=operator or ScriptedOperator(),
        secrets=secrets or NoSecrets(),
        memory=RunMemory(journal, run.id),
        gate=Gate(),
        listen=(events if events is not None else []).append,
        environment={},
        redactor=Redactor([Secret("hunter2", kind="password")]),
        throw_away=throw_away_server,
        api_addresses=api_addresses or {},
    )
