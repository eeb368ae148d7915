"""What is known of the run at this moment; fed by engine events, painted by screens.

Taking an event costs next to nothing and touches no widget. The App looks ten times a second whether
``version`` moved, and only then paints: that is how thousands of events become ten paints.
"""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

import msgspec

from screens import marks
from screens.meter import Meter
from screens.wording import plain
from tekup_migrate.errors import MigrationError
from tekup_migrate.events import (
    ChunkChanged,
    ChunkState,
    Event,
    OutputLine,
    Progress,
    Ran,
    StepChanged,
    StepFailed,
    StepState,
    TableStarted,
)
from tekup_migrate.plan import Phase, Plan
from tekup_migrate.runner import StepStatus

MOST_LINES = 10_000
_PREFIXES = {"sql": "sql  ", "command": "$    ", "file": "file ", "note": "note "}


@dataclass
class Track:
    """One running count of the present step, when it began, and how fast it goes."""

    progress: Progress
    started: float
    meter: Meter = field(default_factory=Meter)


@dataclass
class TableTrack:
    """One table's chunks by their place in key order; ``rows`` is the server's estimate."""

    table: str
    rows: int
    bytes: int
    chunks: dict[int, ChunkChanged] = field(default_factory=dict)

    def rows_in(self, state: ChunkState) -> int:
        """Rows of all chunks that are in a state."""
        return sum(chunk.rows for chunk in self.chunks.values() if chunk.state is state)

    def chunks_in(self, state: ChunkState) -> int:
        """How many chunks are in a state."""
        return sum(chunk.state is state for chunk in self.chunks.values())

    @property
    def sent(self) -> int:
        """Bytes sent for this table so far."""
        return sum(chunk.bytes for chunk in self.chunks.values())


class Board:
    """The run as the screens show it.

    Attributes:
        version: grows with every event.
        steps: every step by id, in order.
        current: the id of the step that was heard of last.
        progress: running counts of the current step by label.
        tables: the tables of the step that reconciles, by name.
        tables_of: the id of that step.
        sending: bytes sent by that step, as a rate.
        total_lines: log lines ever taken; only the last ten thousand are kept.
        seconds: seconds spent in each phase before the current step.
        error: why the last step failed, while it stands.
    """

    def __init__(self, plan: Plan, *, now: Callable[[], float] = time.monotonic) -> None:
        self.plan = plan
        self.version = 0
        self.steps: dict[str, StepStatus] = {}
        self.current = ""
        self.progress: dict[str, Track] = {}
        self.tables: dict[str, TableTrack] = {}
        self.sending = Meter()
        self.total_lines = 0
        self.seconds: dict[str, float] = {}
        self.error: MigrationError | None = None
        self._lines: deque[str] = deque(maxlen=MOST_LINES)
        self.tables_of = ""
        self._began = 0.0
        self._now = now

    def take(self, event: Event) -> None:
        """Take in one engine event."""
        self.version += 1
        if isinstance(event, StepChanged):
            self._change_step(event)
        elif isinstance(event, (Ran, OutputLine)):
            self._write(event)
        elif isinstance(event, Progress):
            self._move_on(event)
        elif isinstance(event, TableStarted):
            self._start_table(event)
        elif isinstance(event, ChunkChanged):
            self._change_chunk(event)
        elif isinstance(event, StepFailed):
            self.error = event.error

    def put(self, steps: tuple[StepStatus, ...], seconds: dict[str, float]) -> None:
        """Put the journal's account of all steps, and of the time spent, on the board."""
        self.steps = {status.id: status for status in steps}
        self.seconds = seconds
        self.version += 1

    def write(self, event: Ran | OutputLine) -> None:
        """Add to the log what ran in an earlier sitting."""
        self._write(event)
        self.version += 1

    @contextmanager
    def asking(self) -> Iterator[None]:
        """Show the step that runs as one that waits for the operator, as long as its question is open."""
        before = self.status
        if before is None or not marks.is_live(before.state):
            yield
            return
        self._set_state(before.id, StepState.CONFIRMING)
        try:
            yield
        finally:
            # The journal's account may have been put on the board meanwhile: then that holds.
            if (after := self.steps.get(before.id)) is not None and after.state is StepState.CONFIRMING:
                self._set_state(before.id, before.state)

    def lines_after(self, seen: int) -> list[str]:
        """Return the kept log lines that came after the first ``seen`` of all."""
        fresh = min(self.total_lines - seen, len(self._lines))
        return list(self._lines)[len(self._lines) - fresh :] if fresh > 0 else []

    @property
    def status(self) -> StepStatus | None:
        """The step that was heard of last."""
        return self.steps.get(self.current)

    @property
    def live_seconds(self) -> float:
        """Seconds since the current step began, 0 when none is being carried out."""
        status = self.status
        return self._now() - self._began if status is not None and marks.is_live(status.state) else 0.0

    @property
    def phase(self) -> Phase:
        """The phase of the current step, else the first with something left to do, else the last."""
        if not self.steps:
            return self.plan.phases[0]
        status = self.status
        wanted = status.phase if status is not None else next((s.phase for s in self.left()), "")
        return next((phase for phase in self.plan.phases if phase.id == wanted), self.plan.phases[-1])

    def left(self) -> tuple[StepStatus, ...]:
        """Return the steps that the run has not yet put behind it."""
        ended = (StepState.DONE, StepState.SKIPPED)
        return tuple(status for status in self.steps.values() if status.state not in ended)

    def steps_of(self, phase: str) -> tuple[StepStatus, ...]:
        """Return a phase's steps in order."""
        return tuple(status for status in self.steps.values() if status.phase == phase)

    def seconds_of(self, phase: str) -> float:
        """Seconds spent in a phase up to now."""
        status = self.status
        live = self.live_seconds if status is not None and status.phase == phase else 0.0
        return self.seconds.get(phase, 0.0) + live

    def _set_state(self, step: str, state: StepState) -> None:
        self.steps[step] = msgspec.structs.replace(self.steps[step], state=state)
        self.version += 1

    def _change_step(self, event: StepChanged) -> None:
        before = self.steps.get(event.step)
        if event.step != self.current:
            self.progress.clear()
        if event.step != self.current or before is None or not marks.is_live(before.state):
            self._began = self._now()
        if marks.is_live(event.state):
            self.error = None
        self.current = event.step
        status = self.steps.get(event.step)
        if status is not None:
            self.steps[event.step] = msgspec.structs.replace(
                status,
                state=event.state,
                verdict=event.verdict or ("" if marks.is_live(event.state) else status.verdict),
                summary=event.summary or status.summary,
                seconds=event.seconds or status.seconds,
            )

    def _write(self, event: Ran | OutputLine) -> None:
        text, where, prefix = event.text, "", "   | "
        if isinstance(event, Ran):
            prefix = _PREFIXES.get(event.kind, f"{event.kind} ")
            where = f"   — {event.where}" if event.where else ""
        first, *more = plain(text).split("\n")
        fresh = [prefix + first + plain(where), *("     " + line for line in more)]
        self._lines.extend(fresh)
        self.total_lines += len(fresh)

    def _move_on(self, event: Progress) -> None:
        track = self.progress.get(event.label)
        if track is None:
            track = self.progress[event.label] = Track(event, self._now())
        track.progress = event
        track.meter.take(self._now(), event.done)

    def _start_table(self, event: TableStarted) -> None:
        if self.tables_of != self.current:
            self.tables_of = self.current
            self.tables.clear()
            self.sending = Meter()
        self.tables[event.table] = TableTrack(event.table, event.rows, event.bytes)

    def _change_chunk(self, event: ChunkChanged) -> None:
        if event.table not in self.tables:
            self._start_table(TableStarted(table=event.table, rows=0, bytes=0))
        table = self.tables[event.table]
        before = table.chunks.get(event.index)
        if before is not None and not event.rows:
            event = msgspec.structs.replace(event, rows=before.rows)
        table.chunks[event.index] = event
        self.sending.take(self._now(), sum(track.sent for track in self.tables.values()))
