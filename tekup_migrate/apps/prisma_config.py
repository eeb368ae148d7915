"""``prisma.config.ts`` as far as it concerns other apps' tables: reading its list, and writing a new file.

``experimental.externalTables`` with ``tables.external`` tells Prisma Migrate to leave tables alone; it is there
since Prisma ORM 6.13 (its changelog of 2025-07-30, and "External tables" in its documentation).
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable

CONFIG = "prisma.config.ts"
SINCE = "6.13"

_COMMENT = re.compile(r"//[^\n]*|/\*.*?\*/", re.DOTALL)
_LIST = re.compile(r"\bexternal\s*:\s*\[(.*?)\]", re.DOTALL)
_STRING = re.compile(r"""["'`]([^"'`]+)["'`]""")
_SWITCH = re.compile(r"\bexternalTables\s*:\s*true\b")


def external_tables(config: str, *, default_schema: str = "public") -> frozenset[tuple[str, str]]:
    """Return the (schema, table) pairs that a config declares as somebody else's; none while it is switched off."""
    code = _COMMENT.sub("", config)
    if not _SWITCH.search(code):
        return frozenset()
    names = (name for group in _LIST.findall(code) for name in _STRING.findall(group))
    return frozenset(_split(name, default_schema) for name in names)


def new_config(schema: str, tables: Iterable[tuple[str, str]]) -> str:
    """Return a new config that names a schema file and declares tables as somebody else's.

    With a config file Prisma no longer reads ``.env`` by itself, hence the first line.
    """
    listed = "".join(f"      {json.dumps(f'{namespace}.{table}')},\n" for namespace, table in sorted(tables))
    return (
        'import "dotenv/config";\n'
        'import { defineConfig } from "prisma/config";\n'
        "\n"
        "export default defineConfig({\n"
        f"  schema: {json.dumps(schema)},\n"
        "  experimental: { externalTables: true },\n"
        "  // Other apps' tables in the same database: Prisma must neither change nor drop them.\n"
        f"  tables: {{\n    external: [\n{listed}    ],\n  }},\n"
        "});\n"
    )


def _split(name: str, default_schema: str) -> tuple[str, str]:
    namespace, dot, table = name.rpartition(".")
    return (namespace, table) if dot else (default_schema, name)
