"""Writes catalog objects as the exact SQL that makes them, under the names they shall have."""

from tekup_migrate.postgres.ddl.naming import Naming
from tekup_migrate.postgres.ddl.rendering import comments, definition, statements

__all__ = ["Naming", "comments", "definition", "statements"]
