"""The steps about rows: the first copy, the last pass before the cut-over, and looking again afterwards."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import msgspec
from msgspec import Struct

from tekup_migrate.phases.access import both_sides, connected, label_of
from tekup_migrate.phases.observation import Observation
from tekup_migrate.phases.ownership import is_ours
from tekup_migrate.phases.tables import SCHEMA, table_moves
from tekup_migrate.plan import Move, Phase, Plan
from tekup_migrate.steps import (
    Context,
    Danger,
    DeclinedError,
    Evidence,
    Figure,
    Option,
    Preview,
    Question,
    Remark,
    Sql,
    Step,
    Undo,
    Verdict,
)

if TYPE_CHECKING:
    from tekup_migrate.postgres.outcome import TableMove, TableOutcome
    from tekup_migrate.postgres.side import Side


class _Copied(Struct, frozen=True):
    """What the source's rows of one table digested to in the snapshot that was copied."""

    table: str
    digest: str
    rows: int


class _RowsStep(Step):
    """A step that makes the target's rows equal to the source's."""

    danger = Danger.CAREFUL
    undo = Undo.UNDOABLE
    undo_note = "The tables that this run created are dropped with their rows."

    def __init__(self, plan: Plan, phase: Phase, *, name: str, title: str) -> None:
        super().__init__(id=f"{phase.id}.{name}", phase=phase.id, title=title)
        self.app = phase.app

    def moves(self, context: Context) -> tuple[Move, ...]:
        """Return the plan's moves of this phase."""
        return context.plan.moves_of(self.app)

    async def preview(self, context: Context) -> Preview:
        """Name every table on both sides, and what happens to each chunk."""
        from tekup_migrate.postgres.reconcile import read_pair

        source, target = context.plan.project_id("source"), context.plan.project_id("target")
        async with both_sides(context) as (left, right):
            pairs = [(move, await read_pair(left, right, move)) for move in await self._table_moves(context, left)]
        actions = [
            Sql(
                f"COPY (SELECT {', '.join(pair.written)} FROM {move.source} WHERE <key range>) TO STDOUT"
                f" (FORMAT {'binary' if pair.binary else 'text'})\nCOPY {move.target} FROM STDIN",
                label_of(context, target),
            )
            for move, pair in pairs
        ]
        notes = [Remark(f"{move.target.name} {note}") for move, pair in pairs for note in pair.notes]
        return Preview(
            title=self.title,
            target=f"{label_of(context, source)} → {label_of(context, target)}",
            verb="Copy the rows",
            undo=self.undo_note,
            actions=(
                *actions,
                *notes,
                Remark(
                    "Each chunk is compared first; equal ones are not sent. One that is sent is committed only if the"
                    " target's digest of it, taken in the same transaction, equals the source's."
                ),
            ),
        )

    async def _table_moves(self, context: Context, source: Side) -> tuple[TableMove, ...]:
        """Return the moves, parents before the tables that refer to them."""
        from tekup_migrate.postgres.foreign_keys import load_order, read_foreign_keys

        async with source.connection() as connection:
            moves = await table_moves(connection, self.moves(context))
            relations = [move.source for move in moves]
            ordered = load_order(relations, await read_foreign_keys(connection, relations))
        return tuple(sorted(moves, key=lambda move: ordered.index(move.source)))

    async def copy(self, context: Context) -> tuple[TableOutcome, ...]:
        """Reconcile every table as of one moment of the source."""
        async with both_sides(context) as (source, target), source.snapshot():
            return tuple(
                [
                    await self._reconcile(context, source, target, move)
                    for move in await self._table_moves(context, source)
                ]
            )

    async def _reconcile(self, context: Context, source: Side, target: Side, move: TableMove) -> TableOutcome:
        from tekup_migrate.postgres.outcome import Policy
        from tekup_migrate.postgres.reconcile import reconcile

        policy = Policy.OURS if is_ours(context, self.app, move.target.name) else Policy.REFUSE
        outcome = await reconcile(
            source, target, move, write=True, policy=policy, emit=context.listen, gate=context.gate
        )
        if outcome.verdict is not Verdict.DIFFERS or policy is Policy.OURS:
            return outcome
        chosen = await context.operator.choose(conflict_question(outcome))
        if chosen == "stop":
            raise DeclinedError
        return await reconcile(
            source, target, move, write=True, policy=Policy(chosen), emit=context.listen, gate=context.gate
        )


def conflict_question(outcome: TableOutcome) -> Question:
    """Return the question about a table whose target holds rows that the source lacks or has otherwise."""
    from tekup_migrate.postgres.outcome import Policy

    tally, name = outcome.tally, outcome.move.target.name
    clashes = [f"{clash.count} rows share {', '.join(clash.columns)} under another id" for clash in outcome.clashes]
    return Question(
        title=f"{name} on the target holds rows of its own",
        text="\n".join(
            (
                f"{tally.only_target} rows are only on the target, {tally.changed} differ,"
                f" {tally.only_source} are missing.",
                *clashes,
                *(str(sample) for sample in outcome.samples),
            )
        ),
        options=(
            Option("stop", "Leave everything as it is", "Nothing is written; decide later."),
            Option(Policy.TARGET.value, "Keep the target's rows", "Only missing rows are copied."),
            Option(Policy.NEWEST.value, "Newest wins", "Per row, the later updated_at; rows only on the target stay."),
            Option(
                Policy.SOURCE.value,
                "Source wins",
                f"{tally.changed} rows are overwritten and {tally.only_target} deleted on the target.",
            ),
        ),
        safe="stop",
    )


class CopyRows(_RowsStep):
    """The first copy, while the source may still be written to."""

    why = "Most rows go over while the app still works; what changes meanwhile is caught up with later."

    def __init__(self, plan: Plan, phase: Phase) -> None:
        super().__init__(plan, phase, name="copy", title="Copy the data")

    async def apply(self, context: Context) -> None:
        """Copy, and note what the source's rows digested to in the snapshot."""
        outcomes = await self.copy(context)
        copied = [
            _Copied(outcome.move.target.name, str(outcome.tally.source), outcome.tally.source.rows)
            for outcome in outcomes
        ]
        context.memory.remember(self.id, msgspec.json.encode(copied))
        remember_sent(context, self.id, outcomes)

    async def verify(self, context: Context) -> Evidence:
        """Digest the target's tables anew and compare with the source's digests of the snapshot."""
        kept = context.memory.recall(self.id)
        if kept is None:
            return Evidence(verdict=Verdict.UNVERIFIED, summary="not copied to the end yet")
        wanted = {each.table: each for each in msgspec.json.decode(kept, type=list[_Copied])}
        lines, good = [], True
        async with both_sides(context) as (source, target):
            for move in await self._table_moves(context, source):
                found = await _digest(source, target, move)
                same = found == wanted[move.target.name].digest
                good = good and same
                rows = wanted[move.target.name].rows
                lines.append(
                    f"{move.target.name}: {rows:,} rows, digest {found[:24]}… " + ("equal" if same else "differs")
                )
        return Evidence(
            verdict=Verdict.PASSED if good else Verdict.DIFFERS,
            summary=f"{sum(each.rows for each in wanted.values()):,} rows equal the source's snapshot"
            if good
            else "the target is not what was copied",
            facts=tuple(lines),
            figures=sent_figures(context, self.id),
        )


async def _digest(source: Side, target: Side, move: TableMove) -> str:
    from tekup_migrate.postgres.digest import RowDigests
    from tekup_migrate.postgres.reconcile import read_pair

    pair = await read_pair(source, target, move)
    async with target.connection() as connection:
        return str(await RowDigests(pair.target, pair.names, pair.key).whole(connection))


class FinalPass(_RowsStep):
    """The last pass before the cut-over: after it, both sides are equal row by row."""

    why = "The writers are stopped: what changed since the first copy is sent now, and then everything is compared."

    def __init__(self, plan: Plan, phase: Phase) -> None:
        super().__init__(plan, phase, name="rows", title="Catch up and compare every row")

    async def apply(self, context: Context) -> None:
        """Send what differs."""
        remember_sent(context, self.id, await self.copy(context))

    async def verify(self, context: Context) -> Evidence:
        """Compare both sides, reading only, and look for rows whose foreign keys point nowhere."""
        evidence = rows_evidence(await compare(context, self.moves(context)))
        orphans, facts = await _prove_foreign_keys(context, self.moves(context))
        verdict = Verdict.DIFFERS if orphans else evidence.verdict
        summary = f"{orphans} rows refer to rows that are not there" if orphans else evidence.summary
        return msgspec.structs.replace(
            evidence,
            verdict=verdict,
            summary=summary,
            facts=(*evidence.facts, *facts),
            figures=sent_figures(context, self.id),
        )


async def _prove_foreign_keys(context: Context, moves: Sequence[Move]) -> tuple[int, tuple[str, ...]]:
    """Count the orphans on the target: its triggers, which look after foreign keys, may have slept during the copy."""
    from tekup_migrate.postgres.foreign_keys import prove_foreign_keys
    from tekup_migrate.postgres.quoting import Relation

    async with connected(context, context.plan.project_id("target")) as connection:
        proofs = await prove_foreign_keys(connection, [Relation(SCHEMA, move.target) for move in moves])
    facts = tuple(
        f"foreign key {proof.key.name}: "
        + ("every row has its parent" if proof.holds else f"{proof.orphans} orphans, such as {', '.join(proof.sample)}")
        for proof in proofs
    )
    return sum(proof.orphans for proof in proofs), facts


class RowsKept(Observation):
    """Compares the rows once more, days after the cut-over: nothing that the source has may be missing."""

    why = "Queries return correct data only while the rows are there: every row of the source is looked for again."

    def __init__(self, plan: Plan, phase: Phase) -> None:
        super().__init__(id=f"{phase.id}.rows", phase=phase.id, title="Compare the moved rows once more")

    def looks_at(self, context: Context) -> tuple[str, ...]:
        """Name the tables."""
        return tuple(f"every row of {move.target} against the source" for move in context.plan.moves)

    def target(self, context: Context) -> str:
        """Return both databases' labels."""
        plan = context.plan
        return f"{label_of(context, plan.project_id('source'))} and {label_of(context, plan.project_id('target'))}"

    async def verify(self, context: Context) -> Evidence:
        """Compare; what the live target gained or changed since is its own business."""
        return live_evidence(await compare(context, context.plan.moves))


class LateWrites(RowsKept):
    """Looks for rows that somebody wrote to the source after the cut-over."""

    why = "Something forgotten may still write to the old project. Its rows would be lost when that is deleted."

    def __init__(self, plan: Plan, phase: Phase) -> None:
        Observation.__init__(
            self, id=f"{phase.id}.late", phase=phase.id, title="Look for rows written to the source since"
        )


async def compare(context: Context, moves: Sequence[Move]) -> tuple[TableOutcome, ...]:
    """Compare the moves' tables row by row, reading only, as of one moment of the source."""
    from tekup_migrate.postgres.outcome import Policy
    from tekup_migrate.postgres.reconcile import reconcile

    async with both_sides(context) as (source, target), source.snapshot():
        async with source.connection() as connection:
            found = await table_moves(connection, moves)
        return tuple(
            [
                await reconcile(
                    source, target, move, write=False, policy=Policy.REFUSE, emit=context.listen, gate=context.gate
                )
                for move in found
            ]
        )


def rows_evidence(outcomes: Sequence[TableOutcome]) -> Evidence:
    """Return the evidence of a comparison in which both sides must be equal."""
    facts: list[str] = []
    for outcome in outcomes:
        tally = outcome.tally
        facts.append(
            f"{outcome.move.target.name}: {tally.source.rows:,} rows at the source,"
            f" {tally.target.rows:,} at the target, {outcome.verdict.value}"
        )
        facts += [f"  {sample}" for sample in outcome.samples]
    rows = sum(outcome.tally.source.rows for outcome in outcomes)
    bad = [outcome.move.target.name for outcome in outcomes if outcome.verdict is not Verdict.PASSED]
    verdicts = {outcome.verdict for outcome in outcomes}
    worst = next((v for v in (Verdict.DIFFERS, Verdict.UNVERIFIED) if v in verdicts), Verdict.PASSED)
    return Evidence(
        verdict=worst if outcomes else Verdict.UNVERIFIED,
        summary=f"{rows:,} rows in {len(outcomes)} tables are equal" if not bad else f"{', '.join(bad)}: not equal",
        facts=tuple(facts),
    )


def live_evidence(outcomes: Sequence[TableOutcome]) -> Evidence:
    """Return the evidence of a comparison after the cut-over, when the target has a life of its own.

    Rows only on the target are new ones. Rows only on the source, or different there, may be late writes.
    """
    missing = sum(outcome.tally.only_source for outcome in outcomes)
    changed = sum(outcome.tally.changed for outcome in outcomes)
    new = sum(outcome.tally.only_target for outcome in outcomes)
    rows = sum(outcome.tally.source.rows for outcome in outcomes)
    evidence = rows_evidence(outcomes)
    if any(outcome.verdict is Verdict.UNVERIFIED for outcome in outcomes):
        return evidence
    good = not missing and not changed
    summary = f"all {rows:,} rows of the source are at the target unchanged, {new:,} new ones there"
    if not good:
        summary = f"{missing:,} rows are only at the source, {changed:,} differ"
    return Evidence(
        verdict=Verdict.PASSED if good and outcomes else Verdict.DIFFERS, summary=summary, facts=evidence.facts
    )


def remember_sent(context: Context, step: str, outcomes: Sequence[TableOutcome]) -> None:
    """Add what was sent to what this step has sent before: a resumed copy counts as one."""
    before = msgspec.json.decode(context.memory.recall(f"{step}:sent") or b"[0, 0]", type=tuple[int, int])
    rows = before[0] + sum(outcome.tally.sent.rows for outcome in outcomes)
    sent = before[1] + sum(outcome.tally.sent.bytes for outcome in outcomes)
    context.memory.remember(f"{step}:sent", msgspec.json.encode((rows, sent)))


def sent_figures(context: Context, step: str) -> tuple[Figure, ...]:
    """Return how many rows and bytes a step has sent, as figures that the report adds up."""
    rows, sent = msgspec.json.decode(context.memory.recall(f"{step}:sent") or b"[0, 0]", type=tuple[int, int])
    return (Figure("rows copied", rows), Figure("bytes copied", sent, "bytes"))
