"""What hangs on a table that this run made without being this run's."""

from __future__ import annotations

from collections.abc import Collection

from tekup_migrate.postgres.catalog.objects import CatalogObject, Index, ObjectKey, PublicationTable
from tekup_migrate.postgres.catalog.reading import Catalog


def strangers(catalog: Catalog, key: ObjectKey, ours: Collection[ObjectKey]) -> tuple[ObjectKey, ...]:
    """Return what hangs on a relation and is not among ``ours``, nor a constraint's index, nor there for any table."""
    parts = catalog.attached(key.schema, key.name)
    return tuple(part.key for part in parts if part.key not in ours and not _of_constraint(part) and not _wide(part))


def _of_constraint(part: CatalogObject) -> bool:
    return isinstance(part, Index) and bool(part.constraint)


def _wide(part: CatalogObject) -> bool:
    """Whether it is the membership in a publication that has any table, of a schema or of all: it means no table."""
    return isinstance(part, PublicationTable) and not part.oid
