"""Writes the grants that an object shall have, whatever a new object grants by itself in the target."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace

from tekup_migrate.postgres.catalog.default_privileges import DefaultPrivileges
from tekup_migrate.postgres.catalog.objects import CatalogObject, Column, Grant, Kind, Table, View
from tekup_migrate.postgres.ddl.naming import Naming, sql_name
from tekup_migrate.postgres.ddl.rendering import keyword
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


def grant_statements(
    item: CatalogObject,
    naming: Naming,
    defaults: Iterable[DefaultPrivileges],
    *,
    user: str,
    owner: str,
    roles: frozenset[str],
    version: int,
) -> list[str]:
    """Return what makes a new object's grants those of ``item``.

    Args:
        item: the source's object.
        naming: the target's names.
        defaults: the target's default privileges.
        user: the role that creates the object.
        owner: who owns it by then, and has the rights of the source's owner.
        roles: the roles that the target has; grants to others are left out, and are listed by the comparison.
        version: the target's ``server_version_num``.
    """
    letter = _LETTERS.get(item.key.kind)
    if letter is None:
        return []
    key = naming.key(item.key)
    word = "TABLE" if letter == "r" else "TYPE" if letter == "T" else _WORDS.get(item.key.kind) or keyword(item)
    # GRANT knows an aggregate as a function, and one of any row without its star.
    subject = f"{word} {sql_name(key).replace('(*)', '()') if key.kind is Kind.AGGREGATE else sql_name(key)}"
    initial = _initial_grantees(defaults, letter, key.schema, user)
    wanted = [_known(grant, version) for grant in item.grants if grant.grantee in roles | {"PUBLIC"}]
    found = []
    mine = [grant for grant in wanted if grant.grantee == item.owner]
    others = [grant for grant in wanted if grant.grantee not in (item.owner, owner)]
    surplus = sorted(initial - {user, owner}) if _differs(initial - {owner}, others, letter, user) else []
    if surplus:
        found.append(f"REVOKE ALL ON {subject} FROM {', '.join(map(_role, surplus))}")
    if not (len(mine) == 1 and mine[0].whole and not mine[0].grantable):
        found.append(f"REVOKE ALL ON {subject} FROM {quote_ident(owner)}")
        found += [_grant(grant, subject, grantee=owner) for grant in mine]
    public = {"PUBLIC"} if "PUBLIC" in initial and not surplus else set()
    found += [_grant(grant, subject) for grant in others if grant.grantee not in public]
    columns = item.columns if isinstance(item, (Table, View)) else ()
    found += _column_grants(columns, sql_name(key), roles, old=item.owner, new=owner)
    found += _serial_grants(columns, sql_name(key), others) if isinstance(item, Table) else []
    passed_on = any(grant.grantable for grant in (*others, *(g for column in columns for g in column.grants)))
    # Who may act as several roles grants as the first of them that may, and not as the owner: the owner says it itself.
    return [f"SET LOCAL ROLE {quote_ident(owner)}", *found, "RESET ROLE"] if owner != user and passed_on else found


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
    keeps_public = any(grant.grantee == "PUBLIC" and grant.whole for grant in wanted)
    return "PUBLIC" in initial and not keeps_public


def _column_grants(columns: Iterable[Column], relation: str, roles: frozenset[str], *, old: str, new: str) -> list[str]:
    found = []
    for column in columns:
        for grant in column.grants:
            if grant.grantee == "PUBLIC" or grant.grantee in roles:
                name = quote_ident(column.name)
                rights = ", ".join(f"{right} ({name})" for right in grant.privileges)
                grantee = new if grant.grantee == old else grant.grantee
                found.append(f"GRANT {rights} ON TABLE {relation} TO {_role(grantee)}{_option(grant)}")
    return found


def _serial_grants(columns: Iterable[Column], relation: str, others: Iterable[Grant]) -> list[str]:
    """Return what lets whoever may insert draw numbers for a ``serial`` column, whose sequence the server names."""
    grantees = ", ".join(_role(grant.grantee) for grant in others if "INSERT" in grant.privileges)
    serial = [column.name for column in columns if column.type.lower().endswith("serial")] if grantees else []
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
