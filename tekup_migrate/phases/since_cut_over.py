"""Looking again days after the cut-over: late writes at the source told apart from the target's own life."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import msgspec

from tekup_migrate.phases.access import both_sides, label_of
from tekup_migrate.phases.attesting import attest
from tekup_migrate.phases.comparing import compare, live_evidence
from tekup_migrate.phases.made_tables import made_tables, with_made
from tekup_migrate.phases.observation import Observation
from tekup_migrate.phases.ownership import is_cut_over
from tekup_migrate.phases.resolutions import PlacedMove, all_moves
from tekup_migrate.phases.tables import table_moves
from tekup_migrate.plan import Phase, Plan
from tekup_migrate.steps import Context, Evidence, Verdict

if TYPE_CHECKING:
    from tekup_migrate.postgres.outcome import TableOutcome
    from tekup_migrate.postgres.side import Side
    from tekup_migrate.postgres.since import Since


class RowsKept(Observation):
    """Compares the rows once more, days after the cut-over: nothing that the source has may be missing."""

    why = "Queries return correct data only while the rows are there: every row of the source is looked for again."

    def __init__(self, plan: Plan, phase: Phase) -> None:
        super().__init__(id=f"{phase.id}.rows", phase=phase.id, title="Compare the moved rows once more")

    def looks_at(self, context: Context) -> tuple[str, ...]:
        """Name the tables."""
        return tuple(f"every row of {move.place.label} against the source" for move in all_moves(context))

    def target(self, context: Context) -> str:
        """Return both databases' labels."""
        plan = context.plan
        return f"{label_of(context, plan.project_id('source'))} and {label_of(context, plan.project_id('target'))}"

    async def apply(self, context: Context) -> None:
        """Ask for the operator's word where rows of the target are gone or changed and nothing says by whom."""
        found = await look(context)
        doubtful = [since for since in found if since.needs_word]
        if not doubtful or any(since.is_late for since in found) or self._has_word(context, found):
            return
        lines = [
            "Since the cut-over the target's rows changed in ways that only the app's own work can explain.",
            *(line for since in doubtful for line in _facts(since)),
            "",
            "Did the app do this? Only then say so: these rows still are at the source as they were.",
        ]
        await attest(context, id=self.id, title=self.title, instruction="\n".join(lines))
        context.memory.remember(f"{self.id}:word", _counted(found))

    def forget(self, context: Context) -> None:
        """Forget the operator's word."""
        context.memory.forget(f"{self.id}:word")

    async def verify(self, context: Context) -> Evidence:
        """Compare; what the live target gained or changed since is its own business."""
        found = await look(context)
        made = await made_tables(context, all_moves(context))
        if not all(since.told for since in found):
            return with_made(live_evidence(await compare(context, all_moves(context))), made)
        return with_made(kept_evidence(found, has_word=self._has_word(context, found)), made)

    def _has_word(self, context: Context, found: Sequence[Since]) -> bool:
        return context.memory.recall(f"{self.id}:word") == _counted(found)


class LateWrites(RowsKept):
    """Looks for rows that somebody wrote to the source after the cut-over."""

    why = "Something forgotten may still write to the old project. Its rows would be lost when that is deleted."

    def __init__(self, plan: Plan, phase: Phase) -> None:
        Observation.__init__(
            self, id=f"{phase.id}.late", phase=phase.id, title="Look for rows written to the source since"
        )

    async def apply(self, context: Context) -> None:
        """Do nothing: what the target's rows went through meanwhile is not asked here."""

    async def verify(self, context: Context) -> Evidence:
        """Look at the source only with regard to what was written there since."""
        found = await look(context)
        made = await made_tables(context, all_moves(context))
        if not all(since.told for since in found):
            return with_made(live_evidence(await compare(context, all_moves(context))), made)
        return with_made(late_evidence(found), made)


async def note_baselines(
    context: Context, app: str, source: Side, target: Side, outcomes: Sequence[TableOutcome]
) -> None:
    """Remember both sides of an app's tables as the last pass left them; the app must not be live yet."""
    from tekup_migrate.postgres.since import take_baseline

    if is_cut_over(context, app):
        return
    for outcome in outcomes:
        key = _key(outcome.move.target.label)
        context.memory.forget(key)
        if outcome.verdict is Verdict.PASSED:
            context.memory.remember(key, (await take_baseline(source, target, outcome.move)).encoded())


def forget_baselines(context: Context, moves: Sequence[PlacedMove]) -> None:
    """Forget what the last pass left."""
    for move in moves:
        context.memory.forget(_key(move.place.label))


async def look(context: Context) -> tuple[Since, ...]:
    """Look at every moved table on both sides, reading only, the source as of one moment."""
    from tekup_migrate.postgres.since import Baseline, Since, look_since

    found = []
    async with both_sides(context) as (source, target), source.snapshot():
        async with source.connection() as connection:
            moves = await table_moves(context, connection, all_moves(context))
        for move in moves:
            kept = context.memory.recall(_key(move.target.label))
            if kept is None:
                found.append(Since(move, told=False))
            else:
                found.append(await look_since(source, target, move, Baseline.decoded(kept)))
    return tuple(found)


def late_evidence(found: Sequence[Since]) -> Evidence:
    """Return the evidence about writes to the source alone."""
    facts = tuple(line for since in found for line in _facts(since))
    late, gone = sum(since.late for since in found), sum(since.gone for since in found)
    if not found:
        return Evidence(verdict=Verdict.UNVERIFIED, summary="no table was moved")
    if not late and not gone:
        summary = "since the last pass nothing was written to the source that the target lacks"
        return Evidence(verdict=Verdict.PASSED, summary=summary, facts=facts)
    parts = [f"{late:,} rows were written to the source since the last pass and are not at the target"] * bool(late)
    parts += [f"at least {gone:,} were deleted there"] * bool(gone)
    return Evidence(verdict=Verdict.DIFFERS, summary=", ".join(parts), facts=facts)


def kept_evidence(found: Sequence[Since], *, has_word: bool) -> Evidence:
    """Return the evidence about every row of the source; ``has_word``: the operator answers for the doubtful ones."""
    late = late_evidence(found)
    if late.verdict is not Verdict.PASSED:
        return late
    rows, new = sum(since.source_rows for since in found), sum(since.new for since in found)
    changed = sum(since.changed for since in found)
    missing, unexplained = sum(since.missing for since in found), sum(since.unexplained for since in found)
    if not missing and not unexplained:
        summary = (
            f"all {rows:,} rows of the source are at the target; since then {new:,} new, {changed:,} changed there"
        )
        return Evidence(verdict=Verdict.PASSED, summary=summary, facts=late.facts)
    doubt = f"{missing:,} rows are gone from the target, {unexplained:,} changed with no later updated_at"
    return Evidence(
        verdict=Verdict.ATTESTED if has_word else Verdict.UNVERIFIED,
        summary=f"the operator says that the app did this: {doubt}" if has_word else f"{doubt}: nothing says by whom",
        facts=late.facts,
    )


def _facts(since: Since) -> tuple[str, ...]:
    name = since.move.target.label
    if not since.named:
        told = "both sides are equal, or as the last pass left them"
        if since.is_late:
            told = "the source was written to since the last pass, and the target is not equal to it"
        elif since.needs_word:
            told = "the source is as the last pass left it, the target changed since"
        return (f"{name}: it has no key, so no row can be named; {told}",)
    lines = [
        f"{name}: {since.source_rows:,} rows at the source, written there since and not at the target {since.late:,}",
        f"  at the target since: {since.new:,} new, {since.changed:,} changed as their updated_at says,"
        f" {since.unexplained:,} changed otherwise, {since.missing:,} gone",
    ]
    lines += [f"  deleted at the source since, at least: {since.gone:,}"] * bool(since.gone)
    lines += [f"  different since before, by the operator's choice: {since.settled:,}"] * bool(since.settled)
    return (*lines, *(f"  {sample}" for sample in since.samples))


def _counted(found: Sequence[Since]) -> bytes:
    return msgspec.json.encode([(since.move.target.label, since.unexplained, since.missing) for since in found])


def _key(table: str) -> str:
    return f"baseline:{table}"
