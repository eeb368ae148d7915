"""A database's objects, read into typed, frozen objects."""

from tekup_migrate.postgres.catalog.objects import Kind, ObjectKey
from tekup_migrate.postgres.catalog.reading import Catalog, read_catalog

__all__ = ["Catalog", "Kind", "ObjectKey", "read_catalog"]
