"""What a running step tells whoever listens: the wizard, the unattended printer, a test.

Events carry facts, never widgets, and are already redacted when they reach a listener. A listener is a
plain callable, is called on the engine's event loop, and must return at once.
"""

from __future__ import annotations

from collections.abc import Callable
from enum import Enum

from msgspec import Struct

from tekup_migrate.errors import MigrationError


class ChunkState(Enum):
    """Where one chunk of a table stands."""

    WAITING = "waiting"
    COMPARING = "comparing"
    COPYING = "copying"
    VERIFIED = "verified"
    DIFFERS = "differs"


class StepState(Enum):
    """Where one step stands, as the hub shows it."""

    WAITING = "waiting"
    PREVIEWING = "previewing"
    CONFIRMING = "confirming"
    APPLYING = "applying"
    VERIFYING = "verifying"
    DONE = "done"
    SKIPPED = "skipped"
    FAILED = "failed"
    PAUSED = "paused"
    REVERTED = "reverted"


class Ran(Struct, frozen=True, kw_only=True):
    """One SQL statement, command or file change that was carried out, as it is shown and kept.

    Attributes:
        kind: ``sql``, ``command``, ``file`` or ``note``.
        text: what ran, redacted; may span lines.
        where: the database, directory or file it ran against.
    """

    kind: str
    text: str
    where: str = ""


class OutputLine(Struct, frozen=True):
    """One line that a child process printed."""

    text: str


class Progress(Struct, frozen=True, kw_only=True):
    """How far something that takes more than a second is.

    Attributes:
        label: what is being counted ("notes", "pg_dump").
        done: units finished.
        total: units in all, or 0 where that is not known.
        unit: ``rows``, ``bytes``, ``tables``, ``seconds`` …
    """

    label: str
    done: int
    total: int
    unit: str


class TableStarted(Struct, frozen=True, kw_only=True):
    """A table's reconcile began; ``rows`` and ``bytes`` are the server's estimates until it ends."""

    table: str
    rows: int
    bytes: int


class ChunkChanged(Struct, frozen=True, kw_only=True):
    """One chunk of a table moved on.

    Attributes:
        table: the target table's name.
        index: the chunk's place in key order, from 0.
        state: where it stands now.
        rows: rows in the chunk.
        bytes: bytes sent for it so far, 0 when it was found equal.
    """

    table: str
    index: int
    state: ChunkState
    rows: int = 0
    bytes: int = 0


class StepChanged(Struct, frozen=True, kw_only=True):
    """A step moved to another state.

    Attributes:
        step: the step's id.
        state: where it stands now.
        verdict: the evidence's verdict once there is one, else empty.
        summary: the evidence in one line once there is any.
        seconds: how long the step has taken when it ended, else 0.
    """

    step: str
    state: StepState
    verdict: str = ""
    summary: str = ""
    seconds: float = 0.0


class StepFailed(Struct, frozen=True, kw_only=True):
    """A step stopped with an error that the operator can act on."""

    step: str
    error: MigrationError


Event = Ran | OutputLine | Progress | TableStarted | ChunkChanged | StepChanged | StepFailed
Listener = Callable[[Event], None]
