"""What is asked of a reconcile, and what it found."""

from __future__ import annotations

from dataclasses import dataclass, field, fields, replace
from enum import Enum

from tekup_migrate.postgres.copying import Sent
from tekup_migrate.postgres.digest import Digest
from tekup_migrate.postgres.quoting import Relation
from tekup_migrate.steps import Verdict

MAX_SAMPLES = 20
"""Differing rows that are shown side by side; all of them are counted."""


class Policy(Enum):
    """Whose rows win where the target's differ from the source's."""

    OURS = "ours"
    """The target's rows are this copy itself and nobody else writes them: the source wins without a question."""
    REFUSE = "refuse"
    """Nothing is touched as soon as one row differs or exists on the target only."""
    SOURCE = "source"
    """The operator chose the source: differing rows are overwritten, rows only on the target are deleted."""
    NEWEST = "newest"
    """The operator chose the later ``updated_at``; rows only on the target are kept."""
    TARGET = "target"
    """The operator chose the target: only rows that it lacks are copied."""

    @property
    def source_wins(self) -> bool:
        """Whether the target shall equal the source exactly."""
        return self in (Policy.OURS, Policy.SOURCE)

    @property
    def by_row(self) -> bool:
        """Whether rows of the target stay, so that each new row's key may be taken, if written otherwise, anywhere."""
        return self in (Policy.NEWEST, Policy.TARGET)


@dataclass(frozen=True)
class TableMove:
    """One table to reconcile.

    Attributes:
        source: the table on the source.
        target: the table on the target.
        newest_by: the column that ``Policy.NEWEST`` compares.
        added: columns that the plan adds at the target; where one side lacks them they are left out of the comparison.
        added_labels: enum labels that the plan adds at the target; the other side's enum may lack them.
    """

    source: Relation
    target: Relation
    newest_by: str = "updated_at"
    added: tuple[str, ...] = ()
    added_labels: tuple[str, ...] = ()


class DifferenceKind(Enum):
    """How a row differs between the sides."""

    ONLY_SOURCE = "only on the source"
    ONLY_TARGET = "only on the target"
    CHANGED = "different"


@dataclass(frozen=True)
class ColumnDifference:
    """One column's two values as text, cut to a line's length; None is NULL or a row that is not there."""

    name: str
    source: str | None
    target: str | None


@dataclass(frozen=True)
class RowDifference:
    """One row that differs: its key as (column, value) pairs, and the columns that differ."""

    kind: DifferenceKind
    key: tuple[tuple[str, str], ...]
    columns: tuple[ColumnDifference, ...] = ()

    def __str__(self) -> str:
        key = ", ".join(f"{name} = {value}" for name, value in self.key)
        names = ", ".join(column.name for column in self.columns)
        return f"{key}: {self.kind.value}" + (f" in {names}" if names and self.kind is DifferenceKind.CHANGED else "")


@dataclass(frozen=True)
class NaturalKeyClash:
    """Rows with the same natural key under different ids: they cannot both be in the target."""

    index: str
    columns: tuple[str, ...]
    count: int
    sample: tuple[str, ...]


@dataclass(frozen=True)
class Tally:
    """Counts over one or more chunks.

    Attributes:
        chunks: how many there were.
        equal: chunks that were equal at once, so that nothing was sent.
        copied: chunks that were made equal and proved so before their commit.
        differing: chunks that still differ.
        sent: rows and bytes that travelled.
        deleted: rows deleted on the target.
        kept: target rows that differ from the source and stay by the operator's choice.
        only_source: rows found on the source only.
        only_target: rows found on the target only.
        changed: rows found on both sides and different.
        unresolved: changed rows that ``Policy.NEWEST`` could not decide.
        held: rows that shall be deleted and are still there, because other rows refer to them.
        source: the digest of the source's rows.
        target: the digest of the target's rows at the end.
    """

    chunks: int = 0
    equal: int = 0
    copied: int = 0
    differing: int = 0
    sent: Sent = field(default_factory=Sent)
    deleted: int = 0
    kept: int = 0
    only_source: int = 0
    only_target: int = 0
    changed: int = 0
    unresolved: int = 0
    held: int = 0
    source: Digest = field(default_factory=Digest)
    target: Digest = field(default_factory=Digest)

    def __add__(self, other: Tally) -> Tally:
        both = {f.name: getattr(self, f.name) + getattr(other, f.name) for f in fields(self)}
        return replace(self, **both)

    @property
    def conflicts(self) -> int:
        """Rows that a write could lose: changed ones and those only on the target."""
        return self.changed + self.only_target


@dataclass(frozen=True)
class TableOutcome:
    """What a reconcile of one table found and did.

    Attributes:
        move: the table.
        verdict: ``passed``: equal, or different only where the operator chose so; ``differs``; ``unverified``.
        tally: the counts.
        samples: up to ``MAX_SAMPLES`` differing rows, as found before anything was written.
        clashes: natural keys that both sides have under different ids.
        notes: how the table was handled, where that is out of the ordinary.
        wrote: whether anything was written.
        seconds: how long it took.
    """

    move: TableMove
    verdict: Verdict
    tally: Tally
    samples: tuple[RowDifference, ...]
    clashes: tuple[NaturalKeyClash, ...]
    notes: tuple[str, ...]
    wrote: bool
    seconds: float
