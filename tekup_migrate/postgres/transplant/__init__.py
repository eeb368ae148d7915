"""Carries over everything that hangs on the moved tables, and takes it back."""

from tekup_migrate.postgres.transplant.applying import Created, apply_after, apply_before, created, digest_of
from tekup_migrate.postgres.transplant.planning import Statement, TransplantPlan, plan_from_catalogs, plan_transplant
from tekup_migrate.postgres.transplant.undoing import gone_by_hand, still_there, undo, undo_plan, undo_statements

__all__ = [
    "Created",
    "Statement",
    "TransplantPlan",
    "apply_after",
    "apply_before",
    "created",
    "digest_of",
    "gone_by_hand",
    "plan_from_catalogs",
    "plan_transplant",
    "still_there",
    "undo",
    "undo_plan",
    "undo_statements",
]
