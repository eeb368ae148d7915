"""Carries over everything that hangs on the moved tables, and takes it back."""

from tekup_migrate.postgres.transplant.applying import Created, apply_after, apply_before, created
from tekup_migrate.postgres.transplant.planning import Statement, TransplantPlan, plan_from_catalogs, plan_transplant
from tekup_migrate.postgres.transplant.undoing import undo, undo_statements

__all__ = [
    "Created",
    "Statement",
    "TransplantPlan",
    "apply_after",
    "apply_before",
    "created",
    "plan_from_catalogs",
    "plan_transplant",
    "undo",
    "undo_statements",
]
