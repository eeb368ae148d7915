"""The plan's own policies: they exist at the end whatever the source has."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace

from tekup_migrate.plan import Policy
from tekup_migrate.postgres.catalog.objects import CatalogObject, Kind, ObjectKey, RowPolicy, Table
from tekup_migrate.postgres.catalog.reading import Catalog
from tekup_migrate.postgres.comparison.items import Comparison, Disposition
from tekup_migrate.postgres.comparison.moves import TableMove
from tekup_migrate.postgres.ddl.naming import Naming
from tekup_migrate.postgres.ddl.rendering import policy as policy_sql
from tekup_migrate.postgres.sql_text.tokens import canonical


@dataclass(frozen=True)
class FloorPolicy:
    """What the plan asks for and neither side has: the key of what is made, and its statements."""

    key: ObjectKey
    statements: tuple[str, ...]


def raised(source: Catalog, target: Catalog, moves: Iterable[TableMove]) -> tuple[Catalog, tuple[str, ...]]:
    """Return the source's catalog with row level security on wherever the plan's policies need it, and remarks.

    The table is then made, and afterwards recognised, as it shall be in the target.
    """
    objects, remarks = dict(source.objects), []
    for move in moves:
        table = source.relation(move.source.schema, move.source.name)
        there = target.relation(move.target.schema, move.target.name)
        if isinstance(there, Table) and not there.row_security:
            continue  # It is there already, and gets a statement of its own.
        if _asks_for_it(move) and isinstance(table, Table) and not table.row_security:
            objects[table.key] = replace(table, row_security=True)
            remarks.append(f"{move.source} has no row level security; the plan asks for it, so it is switched on")
    return replace(source, objects=objects), tuple(remarks)


def floor_policies(
    target: Catalog, moves: Iterable[TableMove], comparison: Comparison, source: Catalog
) -> tuple[list[FloorPolicy], tuple[str, ...]]:
    """Return what is missing of the plan's policies, with remarks on what was decided."""
    found: list[FloorPolicy] = []
    remarks: list[str] = []
    for move in moves:
        if not _asks_for_it(move):
            continue
        present = _present(target, move, comparison, source)
        if not _row_security(target, move, source):
            key = ObjectKey(Kind.OTHER, move.target.schema, "row level security", move.target.name)
            found.append(FloorPolicy(key, (f"ALTER TABLE {move.target.sql} ENABLE ROW LEVEL SECURITY",)))
            remarks.append(f"{move.source} has no row level security; the plan asks for it, so it is switched on")
        for wanted in move.policies:
            made = _missing(wanted, move, present)
            if made is None:
                continue
            if made.key.name != wanted.name:
                remarks.append(
                    f"The source's policy {wanted.name!r} on {move.source} says something else than the plan's;"
                    f" both are made, the plan's as {made.key.name!r}"
                )
            found.append(FloorPolicy(made.key, (policy_sql(made, Naming()),)))
    return found, tuple(remarks)


def _asks_for_it(move: TableMove) -> bool:
    """Whether the plan wants row level security on a table."""
    return bool(move.policies) or move.floor.row_security


def _missing(wanted: Policy, move: TableMove, present: dict[str, str]) -> RowPolicy | None:
    """Return the policy to make, or None where one of that name says the same."""
    for name in (wanted.name, f"{wanted.name} (plan)"):
        made = RowPolicy(
            key=ObjectKey(Kind.POLICY, move.target.schema, name, move.target.name),
            oid=0,
            command=wanted.command.upper(),
            permissive=True,
            roles=tuple(sorted(wanted.roles)),
            using=wanted.using or None,
            check=wanted.check or None,
        )
        if name not in present:
            return made
        if present[name] == _substance(made, Naming()):
            return None
    return None


def _present(target: Catalog, move: TableMove, comparison: Comparison, source: Catalog) -> dict[str, str]:
    """Return the policies that the table has or will have without the plan's, by name."""
    found = {
        item.key.name: _substance(item, Naming())
        for item in target.attached(move.target.schema, move.target.name)
        if isinstance(item, RowPolicy)
    }
    for item in comparison.with_disposition(Disposition.MOVES):
        policy = source.get(item.key, RowPolicy)
        if policy and (item.target.schema, item.target.parent) == (move.target.schema, move.target.name):
            found[item.target.name] = _substance(policy, comparison.naming)
    return found


def _row_security(target: Catalog, move: TableMove, source: Catalog) -> bool:
    there: CatalogObject | None = target.relation(move.target.schema, move.target.name)
    here = source.relation(move.source.schema, move.source.name)
    table = there or here
    return isinstance(table, Table) and table.row_security


def _substance(policy: RowPolicy, names: Naming) -> str:
    """Return what a policy says, without its name, in a form that is equal when two say the same."""
    expressions = []
    for expression in (policy.using, policy.check):
        text = canonical(names.printed(expression)) if expression else ""
        while text.startswith("( ") and text.endswith(" )") and _closes_last(text):
            text = text[2:-2]
        expressions.append(text)
    return "|".join((policy.command, str(policy.permissive), ",".join(sorted(policy.roles)), *expressions))


def _closes_last(text: str) -> bool:
    """Whether the first parenthesis is closed by the last one."""
    depth = 0
    for place, character in enumerate(text):
        depth += (character == "(") - (character == ")")
        if depth == 0:
            return place == len(text) - 1
    return False
