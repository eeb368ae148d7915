"""Names that two moved things would have at once in the target, because the operator gave one of them the other's."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from msgspec import structs

from tekup_migrate.postgres.catalog.objects import RELATIONS, TYPES, Kind, ObjectKey
from tekup_migrate.postgres.comparison.items import Disposition, Item

_WITH_ROW_TYPE = RELATIONS - {Kind.SEQUENCE} | {Kind.COMPOSITE}


def with_clashes(items: Iterable[Item]) -> tuple[Item, ...]:
    """Return the items, each one whose name in the target an earlier one has got as a conflict."""
    named: dict[str, Item] = {}
    return tuple(_weighed(item, named) for item in items)


def _weighed(item: Item, named: dict[str, Item]) -> Item:
    # Two tables that go into one that is there and equal would become one table.
    if item.disposition is not Disposition.MOVES and not (
        item.disposition is Disposition.EQUAL and item.kind is Kind.TABLE
    ):
        return item
    other = next((named[name] for name in _names(item.target) if name in named), None)
    if other is None:
        named.update(dict.fromkeys(_names(item.target), item))
        return item
    return structs.replace(item, disposition=Disposition.DIFFERENT, reason=f"{other.key} gets that name as well")


def _names(key: ObjectKey) -> Iterator[str]:
    """Yield what a thing takes for itself: a name among the relations, one among the types, or of its own kind only."""
    place = f"{key.schema}.{key.name}"
    if key.kind in RELATIONS | {Kind.INDEX, Kind.COMPOSITE}:
        yield f"relation {place}"
    if key.kind in TYPES | _WITH_ROW_TYPE:
        yield f"type {place}"
    yield str(key)
