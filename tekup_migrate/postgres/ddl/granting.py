"""Writes the grants that an object shall have, whatever a new object grants by itself in the target."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace

from tekup_migrate.postgres.catalog.default_privileges import DefaultPrivileges
from tekup_migrate.postgres.catalog.objects import CatalogObject, Column, Grant, Kind, Table, View
from tekup_migrate.postgres.catalog.reading import Catalog
from tekup_migrate.postgres.ddl.grantors import Giving
from tekup_migrate.postgres.ddl.naming import Naming, sql_name
from tekup_migrate.postgres.ddl.rendering import keyword
from tekup_migrate.postgres.ddl.type_names import is_serial
from tekup_migrate.postgres.quoting import quote_ident, quote_literal

_LETTERS = {
    Kind.TABLE: "r",
    Kind.VIEW: "r",
    Kind.MATERIALIZED_VIEW: "r",
    Kind.SEQUENCE: "S",
    Kind.FUNCTION: "f",
    Kind.AGGREGATE: "f",
    Kind.ENUM: "T",
    Kind.DOMAIN: "T",
    Kind.COMPOSITE: "T",
    Kind.RANGE: "T",
    Kind.SCHEMA: "n",
}
_WORDS = {Kind.AGGREGATE: "FUNCTION"}
_PUBLIC_FROM_THE_START = frozenset({"f", "T"})
"""Anyone may execute a new function and use a new type ("Privileges" in the PostgreSQL manual)."""


def grant_statements(item: CatalogObject, naming: Naming, source: Catalog, target: Catalog, *, owner: str) -> list[str]:
    """Return what makes a new object's grants those of ``item``, each given by who gave it where that can be.

    Grants to roles that the target does not have are left out, and are listed by the comparison.

    Args:
        item: the source's object.
        naming: the target's names.
        source: the source's catalog.
        target: the target's catalog; its connected role creates the object.
        owner: who owns it by then, and has the rights of the source's owner.
    """
    letter = _LETTERS.get(item.key.kind)
    if letter is None:
        return []
    key, user = naming.key(item.key), target.user
    word = "TABLE" if letter == "r" else "TYPE" if letter == "T" else _WORDS.get(item.key.kind) or keyword(item)
    # GRANT knows an aggregate as a function, and one of any row without its star.
    subject = f"{word} {sql_name(key).replace('(*)', '()') if key.kind is Kind.AGGREGATE else sql_name(key)}"
    initial = _initial_grantees(target.default_privileges, letter, key.schema, user)
    wanted = [grant for grant in (_known(grant, target.version) for grant in item.grants) if grant.privileges]
    mine = [grant for grant in wanted if grant.grantee == item.owner and not grant.grantor]
    giving = Giving(item, key, owner, source, target)
    others = [given.grant for given in giving.of(grant for grant in wanted if grant not in mine)]
    found: list[tuple[str, str]] = []
    surplus = sorted(initial - {user, owner}) if _differs(initial - {owner}, others, letter, user) else []
    if surplus:
        found.append(("", f"REVOKE ALL ON {subject} FROM {', '.join(map(_role, surplus))}"))
    if not (len(mine) == 1 and mine[0].whole and not mine[0].grantable):
        found.append(("", f"REVOKE ALL ON {subject} FROM {quote_ident(owner)}"))
        found += [("", _grant(grant, subject, grantee=owner)) for grant in mine]
    kept = "PUBLIC" if "PUBLIC" in initial and not surplus else None
    found += [(each.grantor, _grant(each, subject)) for each in others if each.grantor or each.grantee != kept]
    columns = item.columns if isinstance(item, (Table, View)) else ()
    of_columns = [(c, each.grant) for c in columns for each in giving.of_column(c.grants)]
    found += [(each.grantor, _column_grant(column, each, sql_name(key))) for column, each in of_columns]
    if isinstance(item, Table):
        found += [("", sql) for sql in _serial_grants(columns, sql_name(key), others)]
    passed_on = any(grant.grantable for grant in (*others, *(grant for _, grant in of_columns)))
    # Who may act as several roles grants as the first of them that may, and not as the owner: the owner says it itself.
    return _said_by(found, user=user, owner=owner if passed_on else user)


def givers_changed(item: CatalogObject, naming: Naming, source: Catalog, target: Catalog, *, owner: str) -> list[str]:
    """Return in words which rights on an object come from its owner and not from who passed them on at the source."""
    giving = Giving(item, naming.key(item.key), owner, source, target)
    found = list(giving.of(grant for grant in item.grants if grant.grantor or grant.grantee != item.owner))
    if isinstance(item, (Table, View)):
        found += [given for column in item.columns for given in giving.of_column(column.grants)]
    return list(
        dict.fromkeys(
            f"{', '.join(each.grant.privileges)} of {each.grant.grantee} comes from the owner: {each.why}"
            for each in found
            if each.why
        )
    )


def _said_by(found: Iterable[tuple[str, str]], *, user: str, owner: str) -> list[str]:
    """Return statements, each as the role that says it; ``owner`` for those of none."""
    said, current = [], user
    for giver, sql in found:
        role = giver or owner
        if role != current:
            said.append("RESET ROLE" if role == user else f"SET LOCAL ROLE {quote_ident(role)}")
            current = role
        said.append(sql)
    return [*said, "RESET ROLE"] if current != user else said


def missing_roles(item: CatalogObject, roles: frozenset[str]) -> tuple[str, ...]:
    """Return the grantees of an object that the target does not have."""
    grants = list(item.grants)
    if isinstance(item, (Table, View)):
        grants += [grant for column in item.columns for grant in column.grants]
    wanted = {grant.grantee for grant in grants} - {"PUBLIC", item.owner}
    return tuple(sorted(wanted - roles))


def _initial_grantees(defaults: Iterable[DefaultPrivileges], letter: str, schema: str, user: str) -> set[str]:
    """Return who gets anything on a new object that ``user`` creates."""
    rows = [row for row in defaults if row.role == user and row.type == letter and row.schema in ("", schema)]
    globally = [row for row in rows if not row.schema]
    found = {grant.grantee for row in rows for grant in row.grants}
    if letter in _PUBLIC_FROM_THE_START and not globally:
        found.add("PUBLIC")
    return found


def _differs(initial: set[str], wanted: Sequence[Grant], letter: str, user: str) -> bool:
    """Say whether anything must be taken away; where only PUBLIC has its built-in right, and keeps it, nothing."""
    if initial - {user, "PUBLIC"}:
        return True
    keeps_public = any(grant.grantee == "PUBLIC" and grant.whole and not grant.grantor for grant in wanted)
    return "PUBLIC" in initial and not keeps_public


def _column_grant(column: Column, grant: Grant, relation: str) -> str:
    rights = ", ".join(f"{right} ({quote_ident(column.name)})" for right in grant.privileges)
    return f"GRANT {rights} ON TABLE {relation} TO {_role(grant.grantee)}{_option(grant)}"


def _serial_grants(columns: Iterable[Column], relation: str, others: Iterable[Grant]) -> list[str]:
    """Return what lets whoever may insert draw numbers for a ``serial`` column, whose sequence the server names."""
    grantees = ", ".join(_role(grant.grantee) for grant in others if "INSERT" in grant.privileges)
    serial = [column.name for column in columns if is_serial(column.type)] if grantees else []
    found = []
    for name in serial:
        sequence = f"pg_catalog.pg_get_serial_sequence({quote_literal(relation)}, {quote_literal(name)})"
        grant = quote_literal(f"GRANT USAGE ON SEQUENCE %s TO {grantees.replace('%', '%%')}")
        found.append(f"DO $do$ BEGIN EXECUTE pg_catalog.format({grant}, {sequence}); END $do$")
    return found


def _grant(grant: Grant, subject: str, *, grantee: str = "") -> str:
    return f"GRANT {', '.join(grant.privileges)} ON {subject} TO {_role(grantee or grant.grantee)}{_option(grant)}"


def _known(grant: Grant, version: int) -> Grant:
    """Return the grant without what the target's version does not know: MAINTAIN came with Postgres 17."""
    return replace(grant, privileges=tuple(p for p in grant.privileges if p != "MAINTAIN" or version >= 170000))


def _option(grant: Grant) -> str:
    return " WITH GRANT OPTION" if grant.grantable else ""


def _role(name: str) -> str:
    return "PUBLIC" if name == "PUBLIC" else quote_ident(name)
