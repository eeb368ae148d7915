"""Compares the source's and the target's catalogs around the tables that move."""

from tekup_migrate.postgres.comparison.access import access_differences
from tekup_migrate.postgres.comparison.items import Comparison, Disposition, Item, compare, refuse_conflicts
from tekup_migrate.postgres.comparison.moves import (
    Bring,
    FollowStrings,
    KeepStrings,
    LeaveBehind,
    NewName,
    Resolution,
    Resolutions,
    Share,
    Strings,
    TableMove,
)
from tekup_migrate.postgres.comparison.selection import Tie

__all__ = [
    "Bring",
    "Comparison",
    "Disposition",
    "FollowStrings",
    "Item",
    "KeepStrings",
    "LeaveBehind",
    "NewName",
    "Resolution",
    "Resolutions",
    "Share",
    "Strings",
    "TableMove",
    "Tie",
    "access_differences",
    "compare",
    "refuse_conflicts",
]
