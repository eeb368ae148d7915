"""The plan's success criteria, judged from nothing but the evidence in the journal."""

from __future__ import annotations

from collections.abc import Mapping

from msgspec import Struct

from tekup_migrate.journal import Entry, State
from tekup_migrate.plan import Criterion, Plan
from tekup_migrate.steps import Evidence, Verdict

# From best to worst: a criterion is as good as the worst of its steps.
_ORDER = (Verdict.PASSED, Verdict.ATTESTED, Verdict.SKIPPED, Verdict.UNVERIFIED, Verdict.DIFFERS)


class CriterionResult(Struct, frozen=True):
    """One success criterion with its verdict and the evidence behind it, a line per step."""

    id: str
    title: str
    verdict: Verdict
    evidence: tuple[str, ...]


def judge(plan: Plan, latest: Mapping[str, Entry]) -> tuple[CriterionResult, ...]:
    """Judge every criterion by the latest journal entries, keyed by step id.

    A step that has not been verified counts as ``unverified``: nothing is called done that was not proved.
    """
    return tuple(_judge(criterion, latest) for criterion in plan.criteria)


def _judge(criterion: Criterion, latest: Mapping[str, Entry]) -> CriterionResult:
    found = [(step, _evidence(latest.get(step))) for step in criterion.steps]
    worst = max((evidence.verdict for _, evidence in found), key=_ORDER.index, default=Verdict.UNVERIFIED)
    lines = tuple(f"{step}: {evidence.verdict.value} · {evidence.summary}" for step, evidence in found)
    return CriterionResult(criterion.id, criterion.title, worst, lines)


def _evidence(entry: Entry | None) -> Evidence:
    if entry is None:
        return Evidence(verdict=Verdict.UNVERIFIED, summary="not reached yet")
    if entry.state in (State.VERIFIED, State.SKIPPED) and entry.evidence is not None:
        return entry.evidence
    return Evidence(verdict=Verdict.UNVERIFIED, summary=f"{entry.state.value}, not verified")
