"""The steps of each kind of phase, made from the plan."""

from __future__ import annotations

from collections.abc import Callable

from tekup_migrate.errors import PlanError
from tekup_migrate.phases.adopt import adopt_steps
from tekup_migrate.phases.cleanup import cleanup_steps
from tekup_migrate.phases.move import move_steps
from tekup_migrate.phases.setup import setup_steps
from tekup_migrate.phases.testing import testing_steps
from tekup_migrate.plan import Phase, Plan
from tekup_migrate.steps import Step

_KINDS: dict[str, Callable[[Plan, Phase], tuple[Step, ...]]] = {
    "setup": setup_steps,
    "move": move_steps,
    "adopt": adopt_steps,
    "testing": testing_steps,
    "cleanup": cleanup_steps,
}


def steps_of(plan: Plan) -> tuple[Step, ...]:
    """Return the plan's steps in the order they are carried out; nothing is read or connected to.

    Raises:
        PlanError: a success criterion names a step that the plan does not have.
    """
    steps = tuple(step for phase in plan.phases for step in _KINDS[phase.kind](plan, phase))
    known = {step.id for step in steps}
    for index, criterion in enumerate(plan.criteria):
        for wanted in criterion.steps:
            if wanted not in known:
                raise PlanError(
                    f"The plan “{plan.id}” cannot be used",
                    happened=f"at criteria[{index}].steps: found {wanted!r}, expected the id of a step.",
                    unchanged="Nothing was read from or written to any project.",
                    remedy="`tekup-migrate plan` lists the steps of a plan once the criteria are left out.",
                )
    return steps
