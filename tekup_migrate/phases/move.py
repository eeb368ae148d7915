"""Phase kind ``move``: an app's tables move from the source to the target, and the app follows."""

from __future__ import annotations

from tekup_migrate.phases.answering import Answers
from tekup_migrate.phases.backing_up import BackUpAgain
from tekup_migrate.phases.env import RewriteEnv
from tekup_migrate.phases.index import BuildIndex, WeighIndex
from tekup_migrate.phases.probing import Access, Preflight
from tekup_migrate.phases.rows import CopyRows, FinalPass
from tekup_migrate.phases.schema import Attach, Compare, CreateTables
from tekup_migrate.phases.searching import MeasureSearch
from tekup_migrate.phases.writers import StopWriters
from tekup_migrate.plan import Phase, Plan
from tekup_migrate.steps import Step


def move_steps(plan: Plan, phase: Phase) -> tuple[Step, ...]:
    """Return the steps of a move phase; the slow ones come before the app's writers have to stop."""
    return (
        Preflight(plan, phase),
        Compare(plan, phase),
        BackUpAgain(plan, phase),
        CreateTables(plan, phase),
        CopyRows(plan, phase),
        Attach(plan, phase),
        WeighIndex(plan, phase),
        BuildIndex(plan, phase),
        MeasureSearch(plan, phase),
        StopWriters(plan, phase),
        FinalPass(plan, phase),
        Access(plan, phase),
        RewriteEnv(plan, phase),
        Answers(plan, phase, phase.app, name="answers"),
    )
