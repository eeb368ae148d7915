"""The contract between the runner, the steps and whoever answers questions.

A step answers four questions (preview, apply, verify, revert) and nothing else. An operator answers five
kinds of question (confirm, choose, secret, connection, attest). Neither knows whether a terminal is attached.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import Enum
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar, Protocol

import msgspec
from msgspec import Struct

from tekup_migrate.cover import Cover
from tekup_migrate.events import Listener, Ran
from tekup_migrate.parts import Choices, Part
from tekup_migrate.plan import Plan, Project
from tekup_migrate.questions import (
    Attestation,
    ConnectionAnswer,
    ConnectionRequest,
    Question,
    Reply,
    SecretRequest,
    TextRequest,
)
from tekup_migrate.surroundings import Memory, Secrets, ThrowAwayServers

if TYPE_CHECKING:
    from tekup_migrate.credentials.redactor import Redactor
    from tekup_migrate.credentials.secret import Secret
    from tekup_migrate.gate import Gate


class Danger(Enum):
    """How much a step could hurt; the rung decides the confirmation."""

    SAFE = "safe"
    CAREFUL = "careful"
    DESTRUCTIVE = "destructive"


class Undo(Enum):
    """Whether and how a step can be taken back, said before it is applied."""

    UNDOABLE = "undoable"
    RESTORABLE = "restorable"
    IRREVERSIBLE = "irreversible"
    NOTHING = "nothing to undo"


class Verdict(Enum):
    """What a step's evidence amounts to."""

    PASSED = "passed"
    DIFFERS = "differs"
    UNVERIFIED = "unverified"
    ATTESTED = "attested"
    SKIPPED = "skipped"


class Figure(Struct, frozen=True):
    """One measured number of a step: rows, bytes, seconds, milliseconds and the like."""

    name: str
    value: float
    unit: str = ""


class Evidence(Struct, frozen=True, kw_only=True):
    """What a step proved.

    Attributes:
        verdict: what it amounts to.
        summary: one line for the hub and the report.
        facts: the findings, a line each, in the order a reader wants them.
        figures: measured numbers.
    """

    verdict: Verdict
    summary: str
    facts: tuple[str, ...] = ()
    figures: tuple[Figure, ...] = ()


class Sql(Struct, frozen=True, tag="sql"):
    """A statement that will run, and the database it runs in."""

    statement: str
    where: str


class Command(Struct, frozen=True, tag="command"):
    """A program that will run, its arguments, and the directory it runs in."""

    argv: tuple[str, ...]
    cwd: str


class DiffLine(Struct, frozen=True):
    """One line of a diff: ``kind`` is a space, ``-`` or ``+``; numbers are 1-based, 0 where there is none.

    ``part`` is the id of the preview's part that the line belongs to, where it has parts.
    """

    kind: str
    old_number: int
    new_number: int
    text: str
    part: str = ""


class FileChange(Struct, frozen=True, tag="file"):
    """A file that will be written, as a diff with secrets masked."""

    path: str
    lines: tuple[DiffLine, ...]


class Manual(Struct, frozen=True, tag="manual"):
    """Something only the operator can do, and the address to do it at."""

    instruction: str
    address: str = ""


class Remark(Struct, frozen=True, tag="remark"):
    """A fact the operator should weigh; ``warning`` ones are shown first."""

    text: str
    warning: bool = False


Action = Sql | Command | FileChange | Manual | Remark


class Preview(Struct, frozen=True, kw_only=True):
    """Exactly what a step will do.

    Attributes:
        title: what the dialog is headed with, verb first.
        target: the named target: host, ref, database, table, file, branch or remote.
        actions: everything that will run or change, in order.
        destroys: what will be gone, a line each; shown first and never folded into a count.
        undo: how it is taken back, or that it cannot be.
        verb: the confirming button's label ("Rewrite 3 files").
        typed_name: what must be typed as well, where rows would be lost that exist nowhere else.
        parts: what the operator decides about one by one; what is chosen is part of the fingerprint.
        world: what was read to make this preview; part of the fingerprint, not shown.
        cover: the newest backup of what could be destroyed, where there is one.
    """

    title: str
    target: str
    verb: str
    undo: str
    actions: tuple[Action, ...] = ()
    destroys: tuple[str, ...] = ()
    typed_name: str = ""
    parts: tuple[Part, ...] = ()
    world: tuple[str, ...] = ()
    cover: Cover | None = None

    def choosing(self, choices: Choices) -> Preview:
        """Return the same preview with other choices for some of its parts."""
        return msgspec.structs.replace(self, parts=tuple(part.choosing(choices) for part in self.parts))

    @property
    def fingerprint(self) -> str:
        """SHA-256 over all of the preview: two equal fingerprints mean the same promise about the same world."""
        import hashlib

        return hashlib.sha256(msgspec.json.encode(self)).hexdigest()


class Operator(Protocol):
    """Whoever answers: the person at the keyboard, a policy, or a script in a test."""

    async def confirm(self, step: Step, preview: Preview) -> Reply:
        """Let the step go ahead as previewed, skip it with a reason, or decline for now."""

    async def choose(self, question: Question) -> str:
        """Return the id of the chosen option."""

    async def write(self, request: TextRequest) -> str:
        """Return the line that was typed, or an empty text when the operator typed none."""

    async def secret(self, request: SecretRequest) -> Secret | None:
        """Return the secret, or None when the operator does not have it now."""

    async def connection(self, request: ConnectionRequest) -> ConnectionAnswer | None:
        """Return what to connect with, or None when the operator does not have it now."""

    async def attest(self, request: Attestation) -> Reply:
        """Say that the manual work is done, skip it with a reason, or decline for now."""


class SkippedError(Exception):
    """Raised by a step whose operator skipped it; ``reason`` goes to the report."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


class DeclinedError(Exception):
    """Raised when the operator declined for now: the run stops here and can be resumed."""


@dataclass(frozen=True)
class Context:
    """What a step is given to work with.

    Attributes:
        plan: the consolidation.
        run: the run's id, unique and fit for file and ref names.
        folder: the run's own directory (backups, report, decommission plan), mode 0700.
        operator: whoever answers.
        secrets: passwords and keys, held in memory.
        memory: durable notes of this run.
        gate: where to ask whether to pause.
        listen: takes events.
        environment: the environment for child processes.
        redactor: removes every held secret from whatever is shown or written.
        throw_away: starts servers to restore backups into.
        rehearsal: whether everything here is thrown away afterwards; shown, never decided upon.
        api_addresses: by project id, where its API is asked if not at the project's own address.
        called_as: the program and options with which a terminal reaches this plan; empty where none does.
    """

    plan: Plan
    run: str
    folder: Path
    operator: Operator
    secrets: Secrets
    memory: Memory
    gate: Gate
    listen: Listener
    environment: Mapping[str, str]
    redactor: Redactor
    throw_away: ThrowAwayServers
    rehearsal: bool = False
    api_addresses: Mapping[str, str] = field(default_factory=dict)
    called_as: tuple[str, ...] = ()

    def redact(self, text: str) -> str:
        """Return a text with every held secret replaced by its mask."""
        return self.redactor.redact(text)

    def project(self, project_id: str) -> Project:
        """Return a project of the plan by its id."""
        return self.plan.projects[project_id]

    def api_address(self, project_id: str) -> str:
        """Return the address that a project's API is asked at."""
        return self.api_addresses.get(project_id) or self.project(project_id).address

    def ran(self, kind: str, text: str, where: str = "") -> None:
        """Tell listeners and the journal what was just carried out, redacted."""
        self.listen(Ran(kind=kind, text=self.redact(text), where=self.redact(where)))


class Step(ABC):
    """The smallest unit that is previewed, confirmed, applied, verified, journaled and undone.

    Attributes:
        id: ``<phase>.<name>[.<subject>]``, stable between versions of the plan.
        title: verb first.
        why: one or two sentences for the help dialog.
        danger: the rung that decides the confirmation.
        undo: whether it can be taken back.
        undo_note: how, or why not.
        undo_danger: the rung that decides how taking it back is confirmed.
    """

    danger: ClassVar[Danger] = Danger.SAFE
    undo: ClassVar[Undo] = Undo.NOTHING
    undo_danger: ClassVar[Danger] = Danger.CAREFUL
    why: ClassVar[str] = ""
    undo_note: ClassVar[str] = "It only reads."

    def __init__(self, *, id: str, phase: str, title: str) -> None:
        self.id = id
        self.phase = phase
        self.title = title

    @abstractmethod
    async def preview(self, context: Context) -> Preview:
        """Read the world and say exactly what ``apply`` will do."""

    @abstractmethod
    async def apply(self, context: Context) -> None:
        """Do exactly what the preview said; may be repeated after a crash at any point."""

    @abstractmethod
    async def verify(self, context: Context) -> Evidence:
        """Look at the world, not at what ``apply`` remembers, and say what is proved."""

    def settle(self, context: Context, choices: Choices) -> None:
        """Note durably what the operator chose for the parts of a preview; ``preview`` shows it from then on."""
        raise NotImplementedError

    def behind(self, part: str) -> tuple[Secret, ...]:
        """Return the values behind the masks of a part, as last previewed: the present one, then the new one."""
        return ()

    async def revert(self, context: Context) -> None:  # noqa: B027 - a step that only reads has nothing to take back
        """Take it back; may be repeated after a crash at any point.

        Raises:
            WorldChangedError: somebody changed by hand what this step made; says what differs, touches nothing.
        """

    async def preview_revert(self, context: Context) -> Preview:
        """Read the world and say exactly what ``revert`` will do.

        Raises:
            WorldChangedError: somebody changed by hand what this step made; says what differs.
        """
        return Preview(
            title=f"Undo: {self.title}",
            target=self.phase,
            verb="Take it back",
            undo="Run the step again.",
            actions=(Remark(self.undo_note),),
        )

    async def verify_reverted(self, context: Context) -> Evidence:
        """Look at the world and say whether the step is taken back."""
        return Evidence(verdict=Verdict.UNVERIFIED, summary="this step does not say how to look")

    def forget(self, context: Context) -> None:  # noqa: B027 - most steps that only read note nothing
        """Forget what was noted, so that the step begins anew; called once it is seen to be taken back."""

    async def last_resort(self, context: Context) -> Step | None:
        """Return the step that restores the backup which covers this one, where it cannot be taken back itself."""
        return None

    async def left_behind(self, context: Context) -> tuple[str, ...]:
        """Return what ``revert`` cannot take back, a line each, with the backup that covers it."""
        return () if self.undo in (Undo.UNDOABLE, Undo.NOTHING) else (self.undo_note,)
