"""A table that the plan names and the source lacks: it is made empty, of nothing but the plan's written floor.

An object for it is put into the source's catalog as that was read. The floor then adds columns, keys and indexes to it
like to any other, and all that follows (comparing, creating, undoing) knows no difference.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace

from msgspec import structs

from tekup_migrate.plan import Policy
from tekup_migrate.postgres.catalog.objects import Grant, Kind, ObjectKey, Table
from tekup_migrate.postgres.catalog.reading import Catalog
from tekup_migrate.postgres.comparison.items import Item
from tekup_migrate.postgres.comparison.moves import TableMove

MADE_EMPTY = "not on the source: made empty from the plan's DDL"
_OWNERS = ("DELETE", "INSERT", "REFERENCES", "SELECT", "TRIGGER", "TRUNCATE", "UPDATE")
_WRITES = ("DELETE", "INSERT", "SELECT", "UPDATE")


def with_absent(source: Catalog, moves: Sequence[TableMove]) -> Catalog:
    """Return the source's catalog with a table without columns for each one that is made from the floor."""
    made = {_key(move): _table(move, source.user) for move in moves if move.made}
    return replace(source, objects={**source.objects, **made}) if made else source


def told(items: Iterable[Item], moves: Sequence[TableMove]) -> tuple[Item, ...]:
    """Return the items, each one of a table that the source lacks with the plan as its reason."""
    tables = {(move.source.schema, move.source.name) for move in moves if move.made}
    return tuple(_told(item, tables) for item in items)


def remarks_on(moves: Sequence[TableMove]) -> tuple[str, ...]:
    """Return a line about each table that the source lacks: what it is made of, and who may use it."""
    found = []
    for move in moves:
        if move.made:
            rights = ", ".join(f"{grant.grantee} {', '.join(grant.privileges)}" for grant in _grants(move.policies))
            who = f"granted as the plan's policies need it: {rights}" if rights else "for its owner only: no policy"
            found.append(f"{move.target} is {MADE_EMPTY}; no row is copied; {who}")
    return tuple(found)


def _told(item: Item, tables: set[tuple[str, str]]) -> Item:
    if item.kind is Kind.TABLE and (item.key.schema, item.key.name) in tables:
        return structs.replace(item, reason=f"{item.reason}; {MADE_EMPTY}" if item.reason else MADE_EMPTY)
    return item


def _key(move: TableMove) -> ObjectKey:
    return ObjectKey(Kind.TABLE, move.source.schema, move.source.name)


def _table(move: TableMove, owner: str) -> Table:
    return Table(
        key=_key(move),
        oid=0,
        owner=owner,
        grants=(Grant(owner, _OWNERS, whole=True), *_grants(move.policies)),
        columns=(),
        persistence="p",
        options=(),
        access_method="heap",
        row_security=bool(move.policies) or move.floor.row_security,
        row_security_forced=False,
        replica_identity="d",
        replica_index="",
        clustered_index="",
        irregular="",
        rows=0,
    )


def _grants(policies: Iterable[Policy]) -> tuple[Grant, ...]:
    """Return the rights without which the policies would allow nothing; PUBLIC means whoever the API may act as."""
    rights: dict[str, set[str]] = {}
    for policy in policies:
        command = policy.command.upper()
        for role in policy.roles:
            for grantee in ("anon", "authenticated") if role.upper() == "PUBLIC" else (role,):
                rights.setdefault(grantee, set()).update(_WRITES if command == "ALL" else (command,))
    for granted in rights.values():
        if granted & {"UPDATE", "DELETE"}:  # A row that is changed or deleted has to be found first.
            granted.add("SELECT")
    return tuple(Grant(role, tuple(sorted(found))) for role, found in sorted(rights.items()))
