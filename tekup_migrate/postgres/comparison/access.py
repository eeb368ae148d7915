"""Compares, after the move, what the API roles and others may do and what is said in comments."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

from tekup_migrate.postgres.catalog.objects import CatalogObject, Grant, Index, RowPolicy, Table, View
from tekup_migrate.postgres.catalog.reading import Catalog
from tekup_migrate.postgres.comparison.items import Disposition, Item
from tekup_migrate.postgres.ddl.grantors import Giving

_Rights = dict[str, frozenset[str]]


def access_differences(source: Catalog, target: Catalog, items: Iterable[Item]) -> tuple[str, ...]:
    """Return in words where grants, columns' grants, policies, owners or comments are not as at the source.

    What stays behind and what is chosen anew, the vector indexes, are left out; rights that only the target's version
    knows are not held against it.

    Args:
        source: read before or after the move.
        target: read after it.
        items: what moved under which name.
    """
    found: list[str] = []
    for item in items:
        here, there = source.objects.get(item.key), target.objects.get(item.target)
        if here is None or item.disposition is Disposition.STAYS or (isinstance(here, Index) and here.finds_vectors):
            continue
        if there is None:
            found.append(f"{item.target} is not in the target")
            continue
        found += _of_object(here, there, source, target, item.name)
    return tuple(found)


def _of_object(here: CatalogObject, there: CatalogObject, source: Catalog, target: Catalog, name: str) -> list[str]:
    giving = Giving(here, there.key, there.owner, source, target)
    own = [replace(grant, grantee=there.owner) for grant in here.grants if _is_own(grant, here.owner)]
    passed = giving.of(grant for grant in here.grants if not _is_own(grant, here.owner))
    wanted = [*own, *(given.grant for given in passed)]
    found = _of_grants(_rights(wanted, there.owner), _rights(there.grants, there.owner), name)
    if here.comment != there.comment:
        found.append(f"{name}: another comment")
    if isinstance(here, (Table, View)) and isinstance(there, (Table, View)):
        columns = {column.name: column for column in there.columns}
        for column in here.columns:
            other = columns.get(column.name)
            if other is not None:
                wanted = [given.grant for given in giving.of_column(column.grants)]
                mine, theirs = _rights(wanted, there.owner), _rights(other.grants, there.owner)
                found += _of_grants(mine, theirs, f"{name}, column {column.name}")
    if isinstance(here, RowPolicy) and isinstance(there, RowPolicy) and set(here.roles) != set(there.roles):
        found.append(f"{name}: for {', '.join(there.roles)} instead of {', '.join(here.roles)}")
    return found


def _is_own(grant: Grant, owner: str) -> bool:
    return grant.grantee == owner and not grant.grantor


def _of_grants(here: _Rights, there: _Rights, name: str) -> list[str]:
    found = []
    for role in sorted(here.keys() | there.keys()):
        lost = here.get(role, frozenset()) - there.get(role, frozenset())
        gained = there.get(role, frozenset()) - here.get(role, frozenset())
        if role == "":
            gained -= {"MAINTAIN"}
        who = role or "its owner"
        found += [f"{name}: {who} lost {', '.join(sorted(lost))}"] if lost else []
        found += [f"{name}: {who} gained {', '.join(sorted(gained))}"] if gained else []
    return found


def _rights(grants: Iterable[Grant], owner: str) -> _Rights:
    """Return rights by role, the owner's under an empty name."""
    found: dict[str, set[str]] = {}
    for grant in grants:
        suffix = " with grant option" * grant.grantable + f" from {grant.grantor}" * bool(grant.grantor)
        role = "" if grant.grantee == owner else grant.grantee
        found.setdefault(role, set()).update(privilege + suffix for privilege in grant.privileges)
    return {role: frozenset(rights) for role, rights in found.items()}
