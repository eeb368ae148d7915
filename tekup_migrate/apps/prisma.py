"""What a Prisma schema knows, and what ``prisma db push`` would drop because it does not know it."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from itertools import combinations_with_replacement
from pathlib import Path

from tekup_migrate.apps.prisma_syntax import Block, PrismaSchemaError, Token, parse_blocks

# Tables that Prisma's schema engine leaves alone although no model names them: its own, and PostGIS's.
_LEFT_ALONE = frozenset({"_prisma_migrations", "spatial_ref_sys"})


@dataclass(frozen=True)
class PrismaField:
    """A field of a model. ``relation`` is the name given with ``@relation``, "" when none is.

    ``joined`` tells that the field holds the foreign key (``fields:`` is given).
    """

    name: str
    type: str
    many: bool
    column: str
    relation: str = ""
    joined: bool = False


@dataclass(frozen=True)
class PrismaModel:
    """A model and the table it stands for; ``schema`` is None unless ``@@schema`` says it."""

    name: str
    table: str
    schema: str | None
    fields: tuple[PrismaField, ...]


@dataclass(frozen=True)
class PrismaEnum:
    """An enum, the Postgres type it stands for, and its labels as the database has them."""

    name: str
    type: str
    schema: str | None
    labels: tuple[str, ...]


@dataclass(frozen=True)
class PrismaSchema:
    """What one schema, of one file or many, says. ``url_key`` is the env key of the connection, if it is one.

    ``schemas`` are those listed in the datasource; empty means the one that the connection names.
    """

    provider: str
    url_key: str | None
    direct_url_key: str | None
    schemas: tuple[str, ...]
    models: tuple[PrismaModel, ...]
    enums: tuple[PrismaEnum, ...]


@dataclass(frozen=True, order=True)
class Existing:
    """A table or an enum type that is in the database; ``rows`` is None when unknown, and for enums."""

    schema: str
    name: str
    rows: int | None = None


@dataclass(frozen=True)
class PushPrediction:
    """What ``prisma db push`` would do to things it does not know, and what it would create.

    ``managed`` are the schemas it looks at. Of ``dropped_tables`` it drops the empty ones without a word
    (measured, see ``silent``); the others only with ``--accept-data-loss``.
    """

    managed: tuple[str, ...]
    dropped_tables: tuple[Existing, ...]
    dropped_enums: tuple[Existing, ...]
    created_tables: tuple[tuple[str, str], ...]

    @property
    def safe(self) -> bool:
        """Whether nothing that Prisma does not know is in its reach."""
        return not self.dropped_tables and not self.dropped_enums

    @property
    def silent(self) -> tuple[Existing, ...]:
        """The tables that would go without any warning, or might, as their rows are not known."""
        return tuple(table for table in self.dropped_tables if not table.rows)


def read_schema(path: Path) -> PrismaSchema:
    """Read a schema file, or all ``.prisma`` files below a folder as Prisma does.

    Raises:
        PrismaSchemaError: there is none, or it cannot be read.
    """
    files = sorted(path.rglob("*.prisma")) if path.is_dir() else [path]
    try:
        texts = [(str(file), file.read_text(encoding="utf-8-sig")) for file in files]
    except (OSError, UnicodeDecodeError) as error:
        raise _missing(path, str(error)) from error
    if not texts:
        raise _missing(path, "The folder holds no .prisma file.")
    return parse_schema(texts)


def parse_schema(texts: Sequence[tuple[str, str]]) -> PrismaSchema:
    """Read the (name, text) pairs of one schema's files.

    Raises:
        PrismaSchemaError: a text is not a Prisma schema.
    """
    blocks = [block for source, text in texts for block in parse_blocks(text, source=source)]
    settings = _settings(next((block for block in blocks if block.keyword == "datasource"), None))
    enums = tuple(_enum(block) for block in blocks if block.keyword == "enum")
    return PrismaSchema(
        provider="".join(token.text for token in settings.get("provider", ())),
        url_key=_env_key(settings.get("url", ())),
        direct_url_key=_env_key(settings.get("directUrl", ())),
        schemas=tuple(token.text for token in settings.get("schemas", ()) if token.kind == "string"),
        models=tuple(_model(block) for block in blocks if block.keyword == "model"),
        enums=enums,
    )


def known_tables(schema: PrismaSchema, *, default_schema: str = "public") -> frozenset[tuple[str, str]]:
    """Return (schema, table) of every model, and of the tables behind implicit many-to-many relations."""
    models = {(model.schema or default_schema, model.table) for model in schema.models}
    return frozenset(models | set(_join_tables(schema, default_schema)))


def predict_push(
    schema: PrismaSchema,
    *,
    tables: Iterable[Existing],
    enums: Iterable[Existing] = (),
    default_schema: str = "public",
    external: Collection[tuple[str, str]] = (),
) -> PushPrediction:
    """Tell what ``prisma db push`` would drop, from the schema and the database's catalog.

    ``default_schema`` is what the connection's ``?schema=`` names. ``external`` are the (schema, table)
    pairs that the app's Prisma configuration lists under ``tables.external``. Views are not given here:
    Prisma leaves them alone.
    """
    managed = schema.schemas or (default_schema,)
    known = known_tables(schema, default_schema=default_schema)
    types = {(enum.schema or default_schema, enum.type) for enum in schema.enums}
    present = sorted(tables)
    return PushPrediction(
        managed=managed,
        dropped_tables=tuple(
            table
            for table in present
            if table.schema in managed
            and table.name not in _LEFT_ALONE
            and (table.schema, table.name) not in known
            and (table.schema, table.name) not in external
        ),
        dropped_enums=tuple(
            enum for enum in sorted(enums) if enum.schema in managed and (enum.schema, enum.name) not in types
        ),
        created_tables=tuple(sorted(known - {(table.schema, table.name) for table in present})),
    )


def _join_tables(schema: PrismaSchema, default_schema: str) -> Iterable[tuple[str, str]]:
    """Name the join table of each relation that is a list on both sides (Prisma docs, "Relation tables")."""
    ordered = sorted(schema.models, key=lambda model: model.name)
    for first, second in combinations_with_replacement(ordered, 2):
        for field in first.fields:
            if field.type != second.name or not field.many:
                continue
            opposite = [
                other
                for other in second.fields
                if other.type == first.name and other.many and other.relation == field.relation and other is not field
            ]
            if opposite:
                name = field.relation or f"{first.name}To{second.name}"
                yield first.schema or default_schema, f"_{name}"


def _model(block: Block) -> PrismaModel:
    fields = tuple(_field(tokens) for tokens in block.statements if tokens[0].kind == "word")
    return PrismaModel(block.name, _attribute(block, "map") or block.name, _attribute(block, "schema"), fields)


def _enum(block: Block) -> PrismaEnum:
    labels = [tokens for tokens in block.statements if tokens[0].kind == "word"]
    return PrismaEnum(
        block.name,
        _attribute(block, "map") or block.name,
        _attribute(block, "schema"),
        tuple(_first_string(_arguments(tokens, "@", "map")) or tokens[0].text for tokens in labels),
    )


def _field(tokens: tuple[Token, ...]) -> PrismaField:
    words = [token.text for token in tokens]
    relation = _arguments(tokens, "@", "relation")
    # An unnamed relation has no string before its lists; "map:" gives the foreign key's name, not its own.
    named = _relation_name(relation)
    return PrismaField(
        name=words[0],
        type=words[1] if len(words) > 1 else "",
        many=words[2:4] == ["[", "]"],
        column=_first_string(_arguments(tokens, "@", "map")) or words[0],
        relation=named,
        joined="fields" in {token.text for token in relation if token.kind == "word"},
    )


def _relation_name(arguments: Sequence[Token]) -> str:
    for position, token in enumerate(arguments):
        if token.kind != "string":
            continue
        before = [previous.text for previous in arguments[max(0, position - 2) : position]]
        if position == 0 or before == ["name", ":"]:
            return token.text
    return ""


def _attribute(block: Block, name: str) -> str | None:
    """Return the string given to a block's ``@@name``, or None."""
    for tokens in block.statements:
        if found := _first_string(_arguments(tokens, "@@", name)):
            return found
    return None


def _arguments(tokens: Sequence[Token], mark: str, name: str) -> tuple[Token, ...]:
    """Return the tokens between the parentheses of the attribute ``mark`` + ``name``, if it is there."""
    for position in range(len(tokens) - 2):
        heading = [token.text for token in tokens[position : position + 3]]
        if heading != [mark, name, "("] or tokens[position].kind != "mark":
            continue
        depth, start = 1, position + 3
        for end in range(start, len(tokens)):
            if tokens[end].kind == "mark":
                depth += (tokens[end].text == "(") - (tokens[end].text == ")")
            if depth == 0:
                return tuple(tokens[start:end])
    return ()


def _first_string(tokens: Sequence[Token]) -> str | None:
    return next((token.text for token in tokens if token.kind == "string"), None)


def _settings(block: Block | None) -> dict[str, tuple[Token, ...]]:
    if block is None:
        return {}
    return {tokens[0].text: tokens[2:] for tokens in block.statements if len(tokens) > 2 and tokens[1].text == "="}


def _env_key(tokens: Sequence[Token]) -> str | None:
    """Return the key of ``env("KEY")``; an address written into the schema itself is not returned."""
    if [token.text for token in tokens[:2]] == ["env", "("]:
        return _first_string(tokens)
    return None


def _missing(path: Path, details: str) -> PrismaSchemaError:
    return PrismaSchemaError(
        "The Prisma schema cannot be read",
        happened=f"{path} could not be read.",
        unchanged="Nothing was changed.",
        remedy="Correct the schema's path in the plan.",
        details=details,
    )
