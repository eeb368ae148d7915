"""Reads as much of a ``schema.prisma`` as the rehearsal's stand-in for Prisma needs.

Source: Prisma's schema reference (models, enums, ``@map``, ``@@map``, native type attributes).
"""

from __future__ import annotations

import re
from dataclasses import dataclass

_BLOCK = re.compile(r"^(model|enum)\s+(\w+)\s*\{\s*$(.*?)^\}\s*$", re.MULTILINE | re.DOTALL)
_FIELD = re.compile(r"^(\w+)\s+(\w+)(\[\]|\?)?\s*(.*)$")
_MAP = re.compile(r'@map\("([^"]+)"\)')
_MODEL_MAP = re.compile(r'^\s*@@map\("([^"]+)"\)', re.MULTILINE)
_NATIVE = re.compile(r"@db\.(\w+)(\([\d, ]+\))?")
_DEFAULT = re.compile(r"@default\((.*?\)?)\)(?:\s|$)")
_COMMENT = re.compile(r"//.*$", re.MULTILINE)

_SCALARS = {
    "String": "text",
    "Boolean": "boolean",
    "Int": "integer",
    "BigInt": "bigint",
    "Float": "double precision",
    "Decimal": "decimal(65,30)",
    "DateTime": "timestamp(3)",
    "Json": "jsonb",
    "Bytes": "bytea",
}
_NATIVES = {"Uuid": "uuid", "Timestamptz": "timestamptz", "Date": "date", "Text": "text", "VarChar": "varchar"}
_DEFAULTS = {"now()": "CURRENT_TIMESTAMP", "autoincrement()": ""}


@dataclass(frozen=True)
class Column:
    """A column of a model: its name, its SQL type, and what follows the type."""

    name: str
    type: str
    constraints: str


@dataclass(frozen=True)
class Model:
    """A model and the table that Prisma keeps for it."""

    name: str
    table: str
    columns: tuple[Column, ...]


@dataclass(frozen=True)
class PrismaEnum:
    """An enum and its labels."""

    name: str
    labels: tuple[str, ...]


@dataclass(frozen=True)
class PrismaSchema:
    """The models and enums of a schema."""

    models: tuple[Model, ...]
    enums: tuple[PrismaEnum, ...]


def read_schema(text: str) -> PrismaSchema:
    """Read a schema; what the stand-in does not know, such as relations, is passed over."""
    blocks = _BLOCK.findall(_COMMENT.sub("", text))
    enums = tuple(
        PrismaEnum(_mapped(name, body), tuple(line.strip() for line in body.split("\n") if _is_label(line)))
        for kind, name, body in blocks
        if kind == "enum"
    )
    enum_types = {name: _mapped(name, body) for kind, name, body in blocks if kind == "enum"}
    models = tuple(
        Model(name, _mapped(name, body), tuple(_columns(body, enum_types)))
        for kind, name, body in blocks
        if kind == "model"
    )
    return PrismaSchema(models=models, enums=enums)


def _mapped(name: str, body: str) -> str:
    found = _MODEL_MAP.search(body)
    return found.group(1) if found else name


def _is_label(line: str) -> bool:
    return re.fullmatch(r"\w+", line.strip()) is not None


def _columns(body: str, enum_types: dict[str, str]) -> list[Column]:
    columns = []
    for line in body.split("\n"):
        field = _FIELD.match(line.strip())
        if field is None:
            continue
        name, kind, suffix, attributes = field.groups()
        sql_type = _sql_type(kind, attributes, enum_types)
        if sql_type is None:
            continue
        renamed = _MAP.search(attributes)
        array = "[]" if suffix == "[]" else ""
        columns.append(
            Column(renamed.group(1) if renamed else name, sql_type + array, _constraints(attributes, suffix))
        )
    return columns


def _sql_type(kind: str, attributes: str, enum_types: dict[str, str]) -> str | None:
    native = _NATIVE.search(attributes)
    if "autoincrement()" in attributes:
        return "bigserial" if kind == "BigInt" else "serial"
    if native is not None and native.group(1) in _NATIVES:
        return _NATIVES[native.group(1)] + (native.group(2) or "")
    if native is not None and native.group(1) == "Decimal":
        return "decimal" + (native.group(2) or "")
    if kind in enum_types:
        return '"' + enum_types[kind] + '"'
    return _SCALARS.get(kind)


def _constraints(attributes: str, suffix: str | None) -> str:
    parts = [] if suffix == "?" else ["NOT NULL"]
    if "@id" in attributes.split():
        parts.append("PRIMARY KEY")
    if "@unique" in attributes.split():
        parts.append("UNIQUE")
    default = _DEFAULT.search(attributes)
    if default is not None:
        parts.append(_default(default.group(1)))
    return " ".join(part for part in parts if part)


def _default(value: str) -> str:
    if value in _DEFAULTS:
        return f"DEFAULT {_DEFAULTS[value]}" if _DEFAULTS[value] else ""
    generated = re.fullmatch(r'dbgenerated\("(.*)"\)', value)
    if generated:
        return f"DEFAULT {generated.group(1)}"
    if value.endswith("()"):
        return ""  # uuid(), cuid(): Prisma's client makes these, not the database
    if value.startswith('"'):
        return "DEFAULT '" + value.strip('"').replace("'", "''") + "'"
    return f"DEFAULT {value}" if re.fullmatch(r"-?[\d.]+|true|false", value) else f"DEFAULT '{value}'"
