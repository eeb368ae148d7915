"""String constants that say an old name: only a person knows whether they mean it."""

from __future__ import annotations

import difflib
from dataclasses import replace

from tekup_migrate.postgres.catalog.objects import (
    CatalogObject,
    Constraint,
    Domain,
    Function,
    Index,
    Kind,
    ObjectKey,
    PublicationTable,
    RowPolicy,
    Rule,
    StatisticsObject,
    Table,
    Trigger,
    View,
)
from tekup_migrate.postgres.ddl.naming import Naming
from tekup_migrate.postgres.ddl.rendering import Identities, statements

_WITH_STRINGS = (
    Function, Trigger, RowPolicy, Rule, View, Table, Constraint, Index, Domain, StatisticsObject, PublicationTable
)  # fmt: skip

MEANT = frozenset({Kind.FUNCTION, Kind.TRIGGER, Kind.POLICY, Kind.RULE, Kind.VIEW, Kind.MATERIALIZED_VIEW})
"""What may say a table's name in a string and mean the table, so that the operator is asked.

In a default, a check or an index's predicate it is rather a word of the rows: it is listed, and can be let follow.
"""


def offered(found: CatalogObject, names: Naming, identities: Identities) -> tuple[str, ...]:
    """Return what would change if an object's string constants followed the renames as well, line by line."""
    if not isinstance(found, _WITH_STRINGS):
        return ()
    kept, followed = (
        ";\n".join(statements(found, replace(names, following=frozenset(keys)), identities))
        for keys in ((), (found.key,))
    )
    return changed_lines(kept, followed)


def with_words(reason: str, key: ObjectKey, offer: tuple[str, ...], names: Naming) -> str:
    """Return what to know about an object, with whether a text in it says an old name and is left as it is."""
    if not offer or key.kind in MEANT or key in names.following:
        return reason
    return "; ".join((*((reason,) if reason else ()), "a text in it says an old name, and is left as it is"))


def changed_lines(old: str, new: str) -> tuple[str, ...]:
    """Return the difference of two texts, line by line, with a line before and after."""
    return tuple(difflib.unified_diff(old.splitlines(), new.splitlines(), lineterm="", n=1))[2:]
