"""Phase kind ``cleanup``: late writes, documentation, commits, pushes, keys, decommission plan, report."""

from __future__ import annotations

from tekup_migrate.phases.documents import Decommission, WriteReport
from tekup_migrate.phases.forgetting import ForgetSource
from tekup_migrate.phases.publishing import Commit, Push
from tekup_migrate.phases.readme import Readme
from tekup_migrate.phases.rotation import Rotate
from tekup_migrate.phases.since_cut_over import LateWrites
from tekup_migrate.plan import Phase, Plan
from tekup_migrate.steps import Step


def cleanup_steps(plan: Plan, phase: Phase) -> tuple[Step, ...]:
    """Return the steps of a clean-up phase."""
    return (
        LateWrites(plan, phase),
        *(Readme(plan, phase, app) for app in plan.apps),
        *(Commit(plan, phase, app) for app in plan.apps),
        *(Push(plan, phase, app) for app in plan.apps),
        Rotate(plan, phase),
        Decommission(plan, phase),
        ForgetSource(plan, phase),
        WriteReport(plan, phase),
    )
