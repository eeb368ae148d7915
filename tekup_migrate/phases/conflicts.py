"""The question about a table whose target holds rows of its own: counted, and some of them side by side."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from typing import TYPE_CHECKING

from tekup_migrate.questions import Option, Question

if TYPE_CHECKING:
    from tekup_migrate.postgres.outcome import ColumnDifference, NaturalKeyClash, RowDifference, TableOutcome

_NAME, _VALUE = 16, 24
"""Characters of a column's name and of each value: the dialog at 80 columns takes 70 a line."""
_ROWS, _COLUMNS = 5, 4
"""Rows that are shown side by side, and columns of each; the other samples are named in a line."""
_CONTEXT = 6


def conflict_question(outcome: TableOutcome) -> Question:
    """Return the question about a table whose target holds rows that the source lacks or has otherwise."""
    from tekup_migrate.postgres.outcome import Policy

    tally, name = outcome.tally, outcome.move.target.label
    blocked = "Nothing would be written: " if outcome.clashes else ""
    because = "the natural keys above are taken under other ids." if outcome.clashes else ""
    return Question(
        title=f"{name} on the target holds rows of its own",
        text="\n".join(
            (
                f"{tally.only_target:,} rows are only on the target, {tally.changed:,} differ,"
                f" {tally.only_source:,} are missing.",
                *(line for clash in outcome.clashes for line in _clash_lines(clash)),
                *side_by_side(outcome.samples),
            )
        ),
        options=(
            Option("stop", "Leave everything as it is", "Nothing is written; decide later."),
            Option(
                Policy.TARGET.value, "Keep the target's rows", blocked + (because or "Only missing rows are copied.")
            ),
            Option(
                Policy.NEWEST.value,
                "Newest wins",
                blocked + (because or f"Per row, the later {outcome.move.newest_by}; rows only on the target stay."),
            ),
            Option(
                Policy.SOURCE.value,
                "Source wins",
                f"{tally.changed:,} rows are overwritten and {tally.only_target:,} deleted on the target.",
            ),
        ),
        safe="stop",
    )


def side_by_side(samples: Sequence[RowDifference]) -> tuple[str, ...]:
    """Return differing rows as lines: the key, then each differing column with the source's and the target's value."""
    if not samples:
        return ()
    lines = ["", _row("", "source", "target")]
    for sample in samples[:_ROWS]:
        lines.append(_cut(str(sample), _NAME + 2 * _VALUE + 4))
        lines += [_column_line(sample, column) for column in sample.columns[:_COLUMNS]]
        more = len(sample.columns) - _COLUMNS
        lines += [f"  … and {more} more columns"] * (more > 0)
    rest = samples[_ROWS:]
    lines += ["", "Others that differ:"] * bool(rest)
    return (*lines, *(_cut(str(sample), _NAME + 2 * _VALUE + 4) for sample in rest))


def _clash_lines(clash: NaturalKeyClash) -> tuple[str, ...]:
    head = f"{clash.count:,} rows share {', '.join(clash.columns)} under another id, such as:"
    return (head, *(f"  {sample}" for sample in clash.sample))


def _column_line(sample: RowDifference, column: ColumnDifference) -> str:
    from tekup_migrate.postgres.outcome import DifferenceKind

    ours, theirs = _flat(column.source), _flat(column.target)
    if sample.kind is DifferenceKind.ONLY_SOURCE:
        return _row(column.name, _cut(ours, _VALUE), "–")
    if sample.kind is DifferenceKind.ONLY_TARGET:
        return _row(column.name, "–", _cut(theirs, _VALUE))
    if ours == theirs:
        return _row(column.name, _cut(ours, _VALUE), "differs further on")
    return _row(column.name, *_around_difference(ours, theirs))


def _around_difference(ours: str, theirs: str) -> tuple[str, str]:
    """Cut both values so that the place where they part is seen."""
    alike = sum(1 for _ in itertools.takewhile(lambda pair: pair[0] == pair[1], zip(ours, theirs, strict=False)))
    if alike < _VALUE - _CONTEXT:
        return _cut(ours, _VALUE), _cut(theirs, _VALUE)
    start = alike - _CONTEXT
    return _cut("…" + ours[start:], _VALUE), _cut("…" + theirs[start:], _VALUE)


def _flat(value: str | None) -> str:
    if value is None:
        return "(NULL)"
    return value.replace("\r", "␍").replace("\n", "⏎").replace("\t", "⇥")


def _row(name: str, ours: str, theirs: str) -> str:
    return f"  {_cut(name, _NAME):<{_NAME}} {ours:<{_VALUE}} {theirs}".rstrip()


def _cut(text: str, width: int) -> str:
    return text if len(text) <= width else text[: width - 1] + "…"
