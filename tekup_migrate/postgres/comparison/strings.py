"""String constants that say an old name: only a person knows whether they mean it."""

from __future__ import annotations

import difflib
from dataclasses import replace

from tekup_migrate.postgres.catalog.objects import CatalogObject, Function, RowPolicy, Rule, Trigger, View
from tekup_migrate.postgres.ddl.naming import Naming
from tekup_migrate.postgres.ddl.rendering import Identities, statements

_WITH_STRINGS = (Function, Trigger, RowPolicy, Rule, View)
"""What may say a table's name in a string and mean the table; in a default or an enum it is rather a word."""


def offered(found: CatalogObject, names: Naming, identities: Identities) -> tuple[str, ...]:
    """Return what would change if an object's string constants followed the renames as well, line by line."""
    if not isinstance(found, _WITH_STRINGS):
        return ()
    kept, followed = (
        ";\n".join(statements(found, replace(names, following=frozenset(keys)), identities))
        for keys in ((), (found.key,))
    )
    return changed_lines(kept, followed)


def changed_lines(old: str, new: str) -> tuple[str, ...]:
    """Return the difference of two texts, line by line, with a line before and after."""
    return tuple(difflib.unified_diff(old.splitlines(), new.splitlines(), lineterm="", n=1))[2:]
