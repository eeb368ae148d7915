"""The steps of each kind of phase, made from the plan."""

from __future__ import annotations

from tekup_migrate.plan import Plan
from tekup_migrate.steps import Step


def steps_of(plan: Plan) -> tuple[Step, ...]:
    """Return the plan's steps in the order they are carried out; nothing is read or connected to."""
    return ()
