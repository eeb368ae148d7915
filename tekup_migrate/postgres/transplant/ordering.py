"""Orders objects so that each is created after what it needs."""

from __future__ import annotations

import heapq
from collections.abc import Mapping

from tekup_migrate.postgres.catalog.objects import TYPES, CatalogObject, Kind, ObjectKey, Sequence

_RANK = {
    kind: rank
    for rank, kind in enumerate(
        (
            Kind.SCHEMA,
            Kind.EXTENSION,
            Kind.COLLATION,
            Kind.DICTIONARY,
            Kind.CONFIGURATION,
            Kind.ENUM,
            Kind.DOMAIN,
            Kind.COMPOSITE,
            Kind.RANGE,
            Kind.SEQUENCE,
            Kind.TABLE,
            Kind.FUNCTION,
            Kind.OPERATOR,
            Kind.CAST,
            Kind.AGGREGATE,
            Kind.CONSTRAINT,
            Kind.INDEX,
            Kind.STATISTICS,
            Kind.FOREIGN_KEY,
            Kind.VIEW,
            Kind.MATERIALIZED_VIEW,
            Kind.RULE,
            Kind.TRIGGER,
            Kind.POLICY,
            Kind.PUBLICATION,
        )
    )
}

Needs = Mapping[ObjectKey, frozenset[ObjectKey]]


def creation_needs(objects: Mapping[ObjectKey, CatalogObject], needs: Needs) -> dict[ObjectKey, frozenset[ObjectKey]]:
    """Return what must exist before each object.

    A table's own sequence is created before the table, operators that name each other in any order, and a cast before
    whatever is made of its types: where an expression uses a cast silently, nothing records that it does.
    """
    found = {}
    for key, item in objects.items():
        wanted = needs.get(key, frozenset())
        if isinstance(item, Sequence) and item.owned_by and not item.identity:
            wanted = frozenset(need for need in wanted if need.kind is not Kind.TABLE)
        elif key.kind is Kind.TABLE:
            wanted = frozenset(need for need in wanted if not _is_identity(objects.get(need)))
        elif key.kind is Kind.OPERATOR:
            wanted = frozenset(need for need in wanted if need.kind is not Kind.OPERATOR)
        found[key] = frozenset(need for need in wanted if need in objects)
    for cast in (key for key in objects if key.kind is Kind.CAST):
        _before_users(cast, found)
    return found


def _before_users(cast: ObjectKey, needs: dict[ObjectKey, frozenset[ObjectKey]]) -> None:
    """Let what is made of a cast's types need the cast, unless the cast itself needs it."""
    types = {key for key in needs[cast] if key.kind in TYPES}
    first = closure(frozenset({cast}), needs)
    for key, wanted in needs.items():
        if key not in first and key.kind not in TYPES and wanted & types:
            needs[key] = wanted | {cast}


def closure(start: frozenset[ObjectKey], needs: Needs) -> frozenset[ObjectKey]:
    """Return ``start`` and everything that it needs, directly or not."""
    found = set(start)
    waiting = list(start)
    while waiting:
        for need in needs.get(waiting.pop(), frozenset()):
            if need not in found:
                found.add(need)
                waiting.append(need)
    return frozenset(found)


def ordered(keys: frozenset[ObjectKey], needs: Needs) -> list[ObjectKey]:
    """Return the keys in an order in which they can be created; the same input gives the same order.

    Where objects need each other in a circle, the one of the earlier kind goes first.
    """
    waiting = {key: {need for need in needs.get(key, frozenset()) if need in keys} for key in keys}
    ready = [(_RANK.get(key.kind, 99), key) for key, wanted in waiting.items() if not wanted]
    heapq.heapify(ready)
    done: list[ObjectKey] = []
    while waiting:
        if not ready:
            key = min(waiting, key=lambda k: (_RANK.get(k.kind, 99), k.kind.value, k.schema, k.parent, k.name))
            ready = [(_RANK.get(key.kind, 99), key)]
        _, key = heapq.heappop(ready)
        del waiting[key]
        done.append(key)
        for other, wanted in waiting.items():
            if key in wanted:
                wanted.remove(key)
                if not wanted:
                    heapq.heappush(ready, (_RANK.get(other.kind, 99), other))
    return done


def _is_identity(item: CatalogObject | None) -> bool:
    return isinstance(item, Sequence) and item.identity
