"""Who gives each right in the target: whoever gave it at the source, where that is possible there.

A right that was given ``WITH GRANT OPTION`` can be passed on, and the server keeps who did: taking it from them takes
it from those they gave it to as well. Source: "Privileges" and GRANT in the PostgreSQL manual.
"""

from __future__ import annotations

from collections.abc import Iterable
from copy import copy
from dataclasses import dataclass, replace

from tekup_migrate.postgres.catalog.objects import CatalogObject, Grant, ObjectKey
from tekup_migrate.postgres.catalog.reading import Catalog
from tekup_migrate.postgres.sql_text.names import Role, Text


@dataclass(frozen=True)
class Given:
    """A grant in the target's names; ``why`` says why it comes from the owner and not from who gave it."""

    grant: Grant
    why: str = ""


class Giving:
    """Finds out in which order, and by whom, rights can be given on one object of the target.

    Args:
        item: the source's object.
        key: what it is in the target.
        owner: who owns it there, and stands for the source's owner.
        source: the source's catalog, for schemas that the target will only have then.
        target: the target's catalog.
    """

    def __init__(self, item: CatalogObject, key: ObjectKey, owner: str, source: Catalog, target: Catalog) -> None:
        self._old = item.owner
        self._owner = owner
        self._target = target
        named = (r.schema for r in Text(key.arguments, written=False).references() if r.role is Role.QUALIFIED)
        places = {(key.schema, item.key.schema)} | {(name, name) for name in named if name}
        schemas = ((there, target.schema(there) or source.schema(here)) for there, here in sorted(places) if there)
        self._closed = {there: schema.open_to if schema else frozenset() for there, schema in schemas}
        self._holds: set[tuple[str, str]] = set()

    def of(self, grants: Iterable[Grant]) -> tuple[Given, ...]:
        """Return an object's grants, each after what its giver has to be given first.

        Those to roles that the target does not have are left out, as is what its owner would give to itself.
        """
        return tuple(given for given in self._ordered(grants) if given.grant.grantor or not self._is_own(given))

    def of_column(self, grants: Iterable[Grant]) -> tuple[Given, ...]:
        """Return a column's grants likewise, the owner's own too.

        What may be passed on of the whole table may be of the column, and its owner need not have it of the whole.
        """
        inner = copy(self)
        inner._holds = set(self._holds)
        return tuple(inner._ordered(grants))

    def _is_own(self, given: Given) -> bool:
        return given.grant.grantee == self._owner

    def _ordered(self, grants: Iterable[Grant]) -> list[Given]:
        waiting = [
            replace(grant, grantee=self._owner if grant.grantee == self._old else grant.grantee, privileges=(right,))
            for grant in grants
            if grant.grantee in self._target.roles | {"PUBLIC", self._old}
            for right in grant.privileges
        ]
        found: list[Given] = []
        while waiting:
            place = next((index for index, grant in enumerate(waiting) if self._is_ready(grant)), 0)
            given = self._given(waiting.pop(place))
            if given.grant.grantable:
                self._holds.add((given.grant.grantee, given.grant.privileges[0]))
            _append(found, given)
        return found

    def _is_ready(self, grant: Grant) -> bool:
        giver, _ = self._giver(grant)
        return not giver or (giver, grant.privileges[0]) in self._holds

    def _given(self, grant: Grant) -> Given:
        giver, why = self._giver(grant)
        if giver and (giver, grant.privileges[0]) not in self._holds:
            giver, why = "", f"{giver} may not pass it on there"
        return Given(replace(grant, grantor=giver), why)

    def _giver(self, grant: Grant) -> tuple[str, str]:
        """Return who can give it, empty for the owner, and why that is not who gave it at the source."""
        giver = grant.grantor
        if giver in ("", self._owner):
            return "", ""
        if giver not in self._target.roles:
            return "", f"no role {giver} there"
        if giver not in self._target.settable:
            return "", f"{self._target.user} may not act as {giver} there"
        closed = [schema for schema, roles in self._closed.items() if giver not in roles]
        return ("", f"{giver} may not use schema {closed[0]} there") if closed else (giver, "")


def _append(found: list[Given], given: Given) -> None:
    """Add a right to the grant before it where that is the same but for the right."""
    last = found[-1] if found else None
    if last and replace(last, grant=replace(last.grant, privileges=given.grant.privileges)) == given:
        rights = (*last.grant.privileges, *given.grant.privileges)
        found[-1] = replace(last, grant=replace(last.grant, privileges=rights))
    else:
        found.append(given)
