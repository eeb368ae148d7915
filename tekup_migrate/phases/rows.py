"""The steps that send rows: the first copy, and the last pass before the cut-over."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import msgspec
from msgspec import Struct

from tekup_migrate.phases.access import both_sides, connected, label_of
from tekup_migrate.phases.carrying_back import written_since
from tekup_migrate.phases.comparing import chosen_policy, compare, rows_evidence
from tekup_migrate.phases.conflicts import conflict_question, side_by_side
from tekup_migrate.phases.counting import carry_sequences, sequences_behind
from tekup_migrate.phases.covering import cover_of, uncovered
from tekup_migrate.phases.emptying import empty, emptying, held_rows, only_there
from tekup_migrate.phases.made_tables import made_tables, remarks_on_made, with_made
from tekup_migrate.phases.ownership import is_created, is_ours, refuse_live
from tekup_migrate.phases.resolutions import PlacedMove, planned_moves
from tekup_migrate.phases.restoring import restoring_before
from tekup_migrate.phases.since_cut_over import forget_baselines, note_baselines
from tekup_migrate.phases.tables import table_moves
from tekup_migrate.phases.taken_back import reverted
from tekup_migrate.plan import Phase, Plan
from tekup_migrate.questions import Answer
from tekup_migrate.steps import Context, Danger, Evidence, Figure, Preview, Remark, Sql, Step, Undo, Verdict

if TYPE_CHECKING:
    from tekup_migrate.postgres.outcome import Policy, TableMove, TableOutcome
    from tekup_migrate.postgres.proved_ranges import ProvedRanges
    from tekup_migrate.postgres.side import Side
    from tekup_migrate.postgres.table import TablePair


PROVED = "proved-rows.sqlite3"
"""In the run's own directory: which key ranges were proved equal, so that a later pass need not read them again."""


def _statements(context: Context, move: TableMove, pair: TablePair) -> tuple[Sql, Sql]:
    """Return what reads a table's rows and what writes them, each with the server that it runs on."""
    source, target = (label_of(context, context.plan.project_id(role)) for role in ("source", "target"))
    form = f"(FORMAT {'binary' if pair.binary else 'text'})"
    return (
        Sql(f"COPY (SELECT {', '.join(pair.written)} FROM {move.source} WHERE <key range>) TO STDOUT {form}", source),
        Sql(f"COPY {move.target} FROM STDIN {form}", target),
    )


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

    def moves(self, context: Context) -> tuple[PlacedMove, ...]:
        """Return the plan's moves of this phase."""
        return planned_moves(context, self.app)

    async def preview(self, context: Context) -> Preview:
        """Name every table on both sides, and what happens to each chunk."""
        from tekup_migrate.postgres.reconcile import read_pair

        async with both_sides(context) as (left, right):
            pairs = [(move, await read_pair(left, right, move)) for move in await self._table_moves(context, left)]
        actions = [action for move, pair in pairs for action in _statements(context, move, pair)]
        notes = [Remark(f"{move.target.label} {note}") for move, pair in pairs for note in pair.notes]
        notes += await remarks_on_made(context, self.moves(context))
        return Preview(
            title=self.title,
            target=" → ".join(label_of(context, context.plan.project_id(role)) for role in ("source", "target")),
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
            moves = await table_moves(context, connection, self.moves(context))
            relations = [move.source for move in moves]
            ordered = load_order(relations, await read_foreign_keys(connection, relations))
        return tuple(sorted(moves, key=lambda move: ordered.index(move.source)))

    async def copy(self, context: Context) -> tuple[TableOutcome, ...]:
        """Reconcile every table as of one moment of the source."""
        from tekup_migrate.postgres.proved_ranges import ProvedRanges
        from tekup_migrate.postgres.tables_together import in_order

        async with both_sides(context) as (source, target), source.snapshot():
            moves = await self._table_moves(context, source)
            with ProvedRanges.open(context.folder / PROVED) as proved:
                outcomes = await in_order(
                    target, moves, lambda move: self._reconcile(context, source, target, move, proved)
                )
            await self.note(context, source, target, outcomes)
            return outcomes

    async def note(self, context: Context, source: Side, target: Side, outcomes: Sequence[TableOutcome]) -> None:
        """Note what must be known later of the moment that was copied, while that is still open."""

    async def _reconcile(
        self, context: Context, source: Side, target: Side, move: TableMove, proved: ProvedRanges
    ) -> TableOutcome:
        from tekup_migrate.postgres.outcome import Policy
        from tekup_migrate.postgres.reconcile import reconcile

        table = move.target.label
        policy = Policy.OURS if is_ours(context, self.app, table) else chosen_policy(context, table)
        outcome = await reconcile(
            source, target, move, write=True, policy=policy, emit=context.listen, gate=context.gate, proved=proved
        )
        if outcome.verdict is not Verdict.DIFFERS or policy is not Policy.REFUSE:
            return outcome
        chosen = await context.operator.choose(conflict_question(outcome))
        if chosen == "stop" or not await self._agreed(context, outcome, Policy(chosen)):
            return outcome
        context.memory.remember(f"policy:{table}", chosen.encode())
        return await reconcile(
            source, target, move, write=True, policy=Policy(chosen), emit=context.listen, gate=context.gate
        )

    async def _agreed(self, context: Context, outcome: TableOutcome, policy: Policy) -> bool:
        """Ask again, on the destructive rung, where the choice would overwrite or delete the target's own rows."""
        tally = outcome.tally
        gone = tally.only_target if policy.source_wins else 0
        if policy.value == "target" or not tally.conflicts:
            return True
        target = context.plan.project_id("target")
        name = outcome.move.target.label
        preview = Preview(
            title=f"Overwrite rows of {name}",
            target=f"{label_of(context, target)}, table {name}",
            verb="Overwrite the rows",
            undo="From the backup only.",
            cover=cover_of(context, target),
            actions=(*uncovered(context, target), *(Remark(line) for line in side_by_side(outcome.samples))),
            destroys=(
                f"{tally.changed} rows of {name} that differ from the source's are overwritten, {policy.value} wins",
                f"{gone} rows that are only in the target's {name} are deleted",
            ),
            typed_name=name,
        )
        reply = await context.operator.confirm(OverwriteRows(self), preview)
        return reply.answer is Answer.PROCEED


class OverwriteRows(Step):
    """What is asked before a target's own rows are overwritten: the copy, on the destructive rung."""

    danger = Danger.DESTRUCTIVE
    undo = Undo.RESTORABLE
    undo_note = "From the target's backup only."
    why = "Rows that are only in this table, or were changed here, exist nowhere else."

    def __init__(self, copy: _RowsStep) -> None:
        super().__init__(id=copy.id, phase=copy.phase, title=copy.title)
        self.copy = copy

    async def preview(self, context: Context) -> Preview:
        """Return the copy's own preview."""
        return await self.copy.preview(context)

    async def apply(self, context: Context) -> None:
        """Copy."""
        await self.copy.apply(context)

    async def verify(self, context: Context) -> Evidence:
        """Verify the copy."""
        return await self.copy.verify(context)


class CopyRows(_RowsStep):
    """The first copy, while the source may still be written to."""

    undo_danger = Danger.DESTRUCTIVE
    undo_note = "The tables that this run created are emptied again; rows in others are named with the backup."
    why = "Most rows go over while the app still works; what changes meanwhile is caught up with later."

    def __init__(self, plan: Plan, phase: Phase) -> None:
        super().__init__(plan, phase, name="copy", title="Copy the data")
        self._counted: Mapping[str, int] | None = None

    async def apply(self, context: Context) -> None:
        """Copy, and note what the source's rows digested to in the snapshot."""
        outcomes = await self.copy(context)
        copied = [
            _Copied(outcome.move.target.label, str(outcome.tally.source), outcome.tally.source.rows)
            for outcome in outcomes
        ]
        context.memory.remember(self.id, msgspec.json.encode(copied))
        remember_sent(context, self.id, outcomes)

    async def left_behind(self, context: Context) -> tuple[str, ...]:
        """Name the tables that had rows of their own before: what was copied cannot be told from those."""
        names = [move.place.label for move in self.moves(context) if not is_created(context, move.place.label)]
        return tuple(f"{name} was there before this run: its rows come back from a backup only." for name in names)

    async def last_resort(self, context: Context) -> Step | None:
        """Return the restore of the target as it was before this phase."""
        return restoring_before(context, context.plan.project_id("target"), phase=self.phase)

    async def preview_revert(self, context: Context) -> Preview:
        """Show the statement, the rows that go, and those that exist nowhere else."""
        refuse_live(context, self.app)
        where = label_of(context, context.plan.project_id("target"))
        held = await held_rows(context, self.moves(context))
        ours = [move for move in self.moves(context) if is_created(context, move.place.label)]
        compared = await written_since(context, ours) if held else ()
        unique = [line for outcome in compared if (line := only_there(outcome))]
        unique += [table.line for table in await made_tables(context, ours) if table.rows]
        # Comparing takes its time, and nobody has looked at a row that came meanwhile.
        first, held = held, await held_rows(context, self.moves(context))
        unique += [
            f"{name} is being written to: {first.get(name, 0):,} rows became {rows:,}"
            for name, rows in held.items()
            if rows != first.get(name, 0)
        ]
        self._counted = held
        return Preview(
            title=f"Empty the tables that “{self.title}” filled",
            target=where,
            verb=f"Empty {len(held)} tables",
            undo="Run the step again: the rows are copied anew from the source.",
            cover=cover_of(context, context.plan.project_id("target")),
            actions=tuple(Sql(each, where) for each in emptying(held))
            if held
            else (Remark("They are empty: nothing is run."),),
            destroys=(*unique, *(f"{name}: {count:,} rows" for name, count in held.items())),
            typed_name=context.plan.target.title if unique else "",
        )

    async def revert(self, context: Context) -> None:
        """Empty the tables that this run created, while they hold what the preview counted."""
        refuse_live(context, self.app)
        held = self._counted if self._counted is not None else await held_rows(context, self.moves(context))
        if held:
            await empty(context, held)
            for statement in emptying(held):
                context.ran("sql", statement, label_of(context, context.plan.project_id("target")))

    async def verify_reverted(self, context: Context) -> Evidence:
        """Count."""
        held = await held_rows(context, self.moves(context))
        lines = tuple(f"{name}: {count:,} rows" for name, count in held.items())
        return reverted(not held, "the tables are empty again", "; ".join(lines))

    def forget(self, context: Context) -> None:
        """Forget what was copied."""
        context.memory.forget(self.id)
        context.memory.forget(f"{self.id}:sent")

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
                copied = wanted.get(move.target.label)
                same = copied is not None and found == copied.digest
                good = good and same
                told = f"{copied.rows:,} rows, digest {found[:24]}…" if copied else "it came to the source since, and"
                lines.append(f"{move.target.label}: {told} {'equal' if same else 'differs'}")
        evidence = Evidence(
            verdict=Verdict.PASSED if good else Verdict.DIFFERS,
            summary=f"{sum(each.rows for each in wanted.values()):,} rows equal the source's snapshot"
            if good
            else "the target is not what was copied",
            facts=tuple(lines),
            figures=sent_figures(context, self.id),
        )
        return with_made(evidence, await made_tables(context, self.moves(context)))


async def _digest(source: Side, target: Side, move: TableMove) -> str:
    from tekup_migrate.postgres.digest import RowDigests
    from tekup_migrate.postgres.reconcile import read_pair

    pair = await read_pair(source, target, move)
    async with target.connection() as connection:
        return str(await RowDigests(pair.target, pair.names, pair.key, pair.hashed).whole(connection))


class FinalPass(_RowsStep):
    """The last pass before the cut-over: after it, both sides are equal row by row."""

    undo = Undo.NOTHING
    undo_note = "What it caught up with is taken back with the first copy."
    why = "The writers are stopped: what changed since the first copy is sent now, and then everything is compared."

    def __init__(self, plan: Plan, phase: Phase) -> None:
        super().__init__(plan, phase, name="rows", title="Catch up and compare every row")

    async def preview(self, context: Context) -> Preview:
        """Show the rows' statements, and where sequences that no column owns go on."""
        found = await super().preview(context)
        where = label_of(context, context.plan.project_id("target"))
        counts = tuple(Sql(each.statement, where) for each in await sequences_behind(context, self.app))
        return msgspec.structs.replace(found, actions=(*found.actions, *counts))

    async def apply(self, context: Context) -> None:
        """Send what differs, and let sequences go on where the source's stopped."""
        remember_sent(context, self.id, await self.copy(context))
        await carry_sequences(context, self.app)

    async def note(self, context: Context, source: Side, target: Side, outcomes: Sequence[TableOutcome]) -> None:
        """Note both sides as they are now: whatever is written to either later shows."""
        await note_baselines(context, self.app, source, target, outcomes)

    def forget(self, context: Context) -> None:
        """Forget what was sent, and what both sides held."""
        context.memory.forget(f"{self.id}:sent")
        forget_baselines(context, self.moves(context))

    async def verify(self, context: Context) -> Evidence:
        """Compare both sides, reading only, and look for rows whose foreign keys point nowhere."""
        evidence = rows_evidence(await compare(context, self.moves(context)))
        evidence = with_made(evidence, await made_tables(context, self.moves(context)))
        orphans, facts = await _prove_foreign_keys(context, self.moves(context))
        behind = [each.sequence.name for each in await sequences_behind(context, self.app)]
        verdict = Verdict.DIFFERS if orphans or behind else evidence.verdict
        summary = f"{orphans} rows refer to rows that are not there" if orphans else evidence.summary
        if behind:
            summary = f"sequences would give numbers out again: {', '.join(behind)}"
        return msgspec.structs.replace(
            evidence,
            verdict=verdict,
            summary=summary,
            facts=(*evidence.facts, *facts),
            figures=sent_figures(context, self.id),
        )


async def _prove_foreign_keys(context: Context, moves: Sequence[PlacedMove]) -> tuple[int, tuple[str, ...]]:
    """Count the orphans on the target: its triggers, which look after foreign keys, may have slept during the copy."""
    from tekup_migrate.postgres.foreign_keys import prove_foreign_keys

    async with connected(context, context.plan.project_id("target")) as connection:
        proofs = await prove_foreign_keys(connection, [move.place for move in moves])
    facts = tuple(
        f"foreign key {proof.key.name}: "
        + ("every row has its parent" if proof.holds else f"{proof.orphans} orphans, such as {', '.join(proof.sample)}")
        for proof in proofs
    )
    return sum(proof.orphans for proof in proofs), facts


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
