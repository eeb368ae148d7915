"""Breaks circles of objects that need each other, as no order of whole objects can make them.

One object of a circle is made in two goes: first without the part that closes the circle (a column's default, a
domain's check or default, a function's body, a view's query; from Postgres 17 on a generated column's expression as
well), then that part once everything else is there. Taking such a circle back begins with the same part.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace

from tekup_migrate.postgres.catalog.objects import CatalogObject, Column, Domain, Function, Kind, ObjectKey, Table, View
from tekup_migrate.postgres.ddl.naming import Naming, sql_name
from tekup_migrate.postgres.ddl.rendering import Identities, comments, statements
from tekup_migrate.postgres.quoting import quote_ident
from tekup_migrate.postgres.sql_text.names import Role, Text
from tekup_migrate.postgres.sql_text.tokens import tokens
from tekup_migrate.postgres.transplant.ordering import Needs, closure

Names = frozenset[tuple[str, str]]

_CHANGES_EXPRESSIONS = 170000
"""The version that brought ``ALTER COLUMN … SET EXPRESSION``."""


@dataclass(frozen=True)
class Rest:
    """An object of a circle as it shall be, and as it is made at first."""

    whole: CatalogObject
    shell: CatalogObject

    def completed(self, naming: Naming, identities: Identities) -> list[str]:
        """Return the statements that make the whole of what was made at first."""
        naming = naming.of(self.whole)
        match self.whole, self.shell:
            case Table() as whole, Table() as shell:
                alter = f"ALTER TABLE {sql_name(naming.key(whole.key))} ALTER COLUMN"
                return [
                    f"{alter} {quote_ident(column.name)} SET "
                    + ("EXPRESSION AS ({})" if column.generated else "DEFAULT {}").format(
                        naming.printed(column.default or "")
                    )
                    for column in _changed(whole, shell)
                ]
            case Domain() as whole, Domain() as shell:
                return _completed_domain(whole, shell, naming)
            case _:
                return [_replacing(sql) for sql in statements(self.whole, naming, identities)]

    def loosened(self, identities: Identities) -> list[str]:
        """Return the statements that take the part away again which closes the circle."""
        name = sql_name(self.whole.key)
        match self.whole, self.shell:
            case Table() as whole, Table() as shell:
                return [
                    f"ALTER TABLE {name} ALTER COLUMN {quote_ident(column.name)} {_without(column)}"
                    for column in _changed(whole, shell)
                ]
            case Domain() as whole, Domain() as shell:
                late = (check for check in whole.checks if check not in shell.checks)
                gone = [f"DROP CONSTRAINT {quote_ident(check.name)}" for check in late]
                gone += ["DROP DEFAULT"] if whole.default != shell.default else []
                return [f"ALTER DOMAIN {name} {each}" for each in gone]
            case _:
                return [_replacing(sql) for sql in statements(self.shell, Naming(), identities)]


def _changed(whole: Table, shell: Table) -> list[Column]:
    """Return the columns that a table is made without the default or the expression of."""
    columns = zip(whole.columns, shell.columns, strict=True)
    return [column for column, first in columns if column.default != first.default]


def _without(column: Column) -> str:
    """Return the change that takes a column's default or expression away; a virtual one cannot be without any."""
    if column.generated == "v":
        return f"SET EXPRESSION AS ({_nothing(column)})"
    return "DROP EXPRESSION" if column.generated else "DROP DEFAULT"


def _nothing(column: Column) -> str:
    return f"NULL::{column.type}"


@dataclass(frozen=True)
class Broken:
    """Objects without circles: some are made at first without a part, and ``rest`` is what remains to be made."""

    objects: dict[ObjectKey, CatalogObject]
    needs: dict[ObjectKey, frozenset[ObjectKey]]
    rest: dict[ObjectKey, Rest]


def broken(objects: Mapping[ObjectKey, CatalogObject], needs: Needs, identities: Identities, *, version: int) -> Broken:
    """Break every circle that can be broken; what cannot is left as it is.

    Args:
        objects: what is to be made.
        needs: what must exist before each, among ``objects``.
        identities: the sequences of identity columns.
        version: the ``server_version_num`` of where it is made.
    """
    found = Broken(dict(objects), {key: frozenset(needs.get(key, ())) for key in objects}, {})
    # A generated column's expression is the last resort: to set it later rewrites the table.
    for generated in (False, True)[: 1 + (version >= _CHANGES_EXPRESSIONS)]:
        tried: set[ObjectKey] = set()
        while (circle := _circle(found.needs, tried | found.rest.keys())) is not None:
            left = circle - tried - found.rest.keys()
            whole = min((found.objects[key] for key in left), key=lambda item: (_rank(item), item.key))
            tried.add(whole.key)
            names = frozenset((key.schema, key.name) for key in circle)
            for shell in _shells(whole, names, generated=generated):
                if _split(found, whole, shell, circle, identities):
                    break
    return found


def _split(
    found: Broken, whole: CatalogObject, shell: CatalogObject, circle: frozenset[ObjectKey], identities: Identities
) -> bool:
    """Make the shell first, if it needs less of the circle than the whole does."""
    key = whole.key
    kept = _names_in(";".join(statements(shell, Naming(), identities)))
    fewer = frozenset(
        need
        for need in found.needs[key]
        if need not in circle or need.kind is Kind.CAST or (need.schema, need.name) in kept
    )
    if fewer == found.needs[key]:
        return False
    rest = ObjectKey(Kind.OTHER, key.schema, key.name, "", f"the rest of {key}")
    before = found.rest.get(rest)
    found.rest[rest] = Rest(before.whole if before else whole, shell)
    found.objects[key] = shell
    for user, wanted in found.needs.items():
        if user not in circle and wanted & circle:
            # Who is not part of it waits for the whole: a domain in use, for one, takes no more checks.
            found.needs[user] = wanted | {rest}
    found.needs[rest] = found.needs.get(rest, frozenset()) - {rest} | found.needs[key] | {key}
    found.needs[key] = fewer
    return True


def _circle(needs: Needs, tried: set[ObjectKey]) -> frozenset[ObjectKey] | None:
    """Return objects that all need each other and of which not all were tried, or None."""
    left = {key: {need for need in wanted if need in needs} for key, wanted in needs.items()}
    while free := {key for key, wanted in left.items() if not wanted}:
        left = {key: wanted - free for key, wanted in left.items() if key not in free}
    for key in sorted(left.keys() - tried):
        after = closure(needs[key], needs)
        inside = frozenset(other for other in after if key in closure(needs[other], needs))
        if key in inside:
            return inside
    return None


def _rank(item: CatalogObject) -> int:
    """Say what is rather split: a default and a check can be added, a body and a query must be replaced."""
    return next((rank for rank, kind in enumerate((Table, Domain, Function, View)) if isinstance(item, kind)), 9)


def _shells(whole: CatalogObject, circle: Names, *, generated: bool) -> Iterator[CatalogObject]:
    """Yield an object without what closes the circle; nothing where it has no such part."""
    match whole:
        case Table(columns=columns) if generated:
            yield replace(
                whole,
                columns=tuple(
                    replace(column, default=_nothing(column))
                    if column.generated and _names_in(column.default or "") & circle
                    else column
                    for column in columns
                ),
            )
        case _ if generated:
            return
        case Table(columns=columns):
            yield replace(
                whole,
                columns=tuple(
                    replace(column, default=None)
                    if column.default and not column.generated and _names_in(column.default) & circle
                    else column
                    for column in columns
                ),
            )
        case Domain(checks=checks, default=default):
            yield replace(
                whole,
                checks=tuple(check for check in checks if not _names_in(check.definition) & circle),
                default=None if _names_in(default or "") & circle else default,
            )
        case Function(body="") if _heading(whole.head) != whole.head:
            heading = _heading(whole.head)
            yield replace(whole, head=heading, body=_stub(heading))
        case View(key=key) if key.kind is Kind.VIEW:
            parts = (
                f"NULL::{c.type}{f' COLLATE {c.collation}' * bool(c.collation)} AS {quote_ident(c.name)}"
                for c in whole.columns
            )
            plain = tuple(replace(column, default=None) for column in whole.columns)
            yield replace(whole, query=f"SELECT {', '.join(parts)}", options=(), columns=plain)


def _heading(head: str) -> str:
    """Return a definition up to the body that the server prints with it."""
    found = tokens(head)
    loud = [index for index, token in enumerate(found) if not token.silent]
    depth = 0
    for place, index in enumerate(loud):
        depth += {"(": 1, ")": -1}.get(found[index].text, 0)
        words = [found[each].keyword for each in loud[place : place + 2]]
        if depth == 0 and (words[0] == "RETURN" or words == ["BEGIN", "ATOMIC"]):
            return "".join(token.text for token in found[:index])
    return head


def _stub(heading: str) -> str:
    """Return a body that says nothing; it has the right type, as the server runs constant calls when it plans."""
    lines = [line.strip() for line in heading.splitlines()]
    returned = next((line.removeprefix("RETURNS ") for line in lines if line.startswith("RETURNS ")), "record")
    unusual = returned.startswith(("SETOF ", "TABLE(")) or returned in ("record", "void")
    return " " if unusual else f" SELECT NULL::{returned} "


def _completed_domain(whole: Domain, shell: Domain, naming: Naming) -> list[str]:
    """Add the checks, then the default: one that calls a function of the domain is in a new check's way."""
    alter = f"ALTER DOMAIN {sql_name(naming.key(whole.key))}"
    late = tuple(check for check in whole.checks if check not in shell.checks)
    found = [f"{alter} ADD CONSTRAINT {quote_ident(c.name)} {naming.printed(c.definition)}" for c in late]
    found += [f"{alter} SET DEFAULT {naming.printed(whole.default or '')}"] if whole.default != shell.default else []
    return found + comments(replace(whole, checks=late, comment=None), naming)


def _replacing(sql: str) -> str:
    return "CREATE OR REPLACE " + sql.removeprefix("CREATE ") if sql.startswith("CREATE ") else sql


def _names_in(text: str) -> Names:
    """Return schema and name of whatever a printed text refers to."""
    references = Text(text, written=False).references()
    return frozenset((r.schema, r.name) for r in references if r.role is Role.QUALIFIED and r.schema is not None)
