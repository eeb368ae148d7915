"""What a string constant says: where its place tells that it is a name, and where only a person can know."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from tekup_migrate.postgres.quoting import quote_ident
from tekup_migrate.postgres.sql_text.tokens import Token, tokens

_TAKES_RELATION = frozenset(
    {"to_regclass", "nextval", "currval", "setval", "pg_get_serial_sequence", "pg_relation_size", "pg_table_size",
     "pg_total_relation_size", "pg_indexes_size"}
)  # fmt: skip
"""Functions whose first argument names a relation as SQL would."""
_TAKES = {"to_regtype": "regtype", "to_regproc": "regproc", "to_regprocedure": "regprocedure"}
_REG_TYPES = frozenset({"regclass", "regtype", "regproc", "regprocedure"})
_TRIGGERS_TABLE = frozenset({"tg_table_name", "tg_relname"})
_COMPARISONS = frozenset({"=", "<>", "!="})
_BETWEEN_NAMES = frozenset(",;{}()[]|")
_AFTER_A_TABLE = frozenset(
    {"AS", "CASCADE", "GROUP", "JOIN", "LEFT", "LIMIT", "ORDER", "SET", "USING", "VALUES", "WHERE"}
)


def cut(token: Token) -> tuple[str, str, str] | None:
    """Return a string token's opening, the value that it stands for, and its closing; None where it is no plain one."""
    text = token.text
    if token.kind == "dollar" and text.endswith("$"):
        opening = text[: text.index("$", 1) + 1]
        return opening, text[len(opening) : -len(opening)], opening
    if token.kind == "string" and text.startswith("'"):
        return "'", text[1:-1].replace("''", "'"), "'"
    if token.kind == "escaped" and "\\" not in text:
        return text[:2], text[2:-1].replace("''", "'"), "'"
    return None


def pasted(opening: str, value: str, closing: str) -> str:
    """Return a string token of another value; the inverse of ``cut``."""
    return opening + (value if closing != "'" else value.replace("'", "''")) + closing


def regular_type(found: Sequence[Token], index: int, *, written: bool) -> str:
    """Return the ``reg`` type that the string at ``index`` is read as, or an empty text."""
    following = [token for token in found[index + 1 : index + 8] if not token.silent][:4]
    if following and following[0].text == "::":
        names = [token.name for token in following[1:] if token.name]
        if names and names[0] in _REG_TYPES:
            return names[0]
        return names[-1] if names and names[0] == "pg_catalog" and names[-1] in _REG_TYPES else ""
    before = [token.text.lower() for token in found[max(0, index - 6) : index] if not token.silent][-2:]
    if not written or len(before) < 2 or before[1] != "(":
        return ""
    return "regclass" if before[0] in _TAKES_RELATION else _TAKES.get(before[0], "")


def of_trigger(found: Sequence[Token], index: int) -> bool:
    """Whether the string at ``index`` is compared with the name of the table that a trigger fired on."""
    before = [token for token in found[max(0, index - 60) : index] if not token.silent]
    after = [token for token in found[index + 1 : index + 5] if not token.silent][:2]
    if len(after) == 2 and after[0].text in _COMPARISONS and after[1].name in _TRIGGERS_TABLE:
        return True
    while len(before) > 1 and before[-1].text == "," and before[-2].kind == "string":
        del before[-2:]
    texts = [token.name or token.text for token in before[-4:]]
    if texts[-1:] == ["("] and texts[-2:-1] == ["in"]:
        texts = [*texts[:-2], "="]
        texts = [text for text in texts if text != "not"]
    return len(texts) > 1 and texts[-1] in _COMPARISONS and texts[-2] in _TRIGGERS_TABLE


def renamed_value(value: str, names: Mapping[str, str]) -> str:
    """Return a constant's value with the old names in it replaced, where it says nothing but names.

    That is one name, a list of names, or a name with which a piece of a statement begins (``notes WHERE id = $1``).
    """
    bare = value.strip()
    if bare in names:
        return value.replace(bare, names[bare], 1)
    found = tokens(value)
    loud = [index for index, token in enumerate(found) if not token.silent]
    if not loud:
        return value
    if len(loud) > 1 and found[loud[1]].keyword in _AFTER_A_TABLE:
        loud = loud[:1]
    elif not _is_list([found[index] for index in loud]):
        return value
    parts = [token.text for token in found]
    for index in loud:
        parts[index] = _renamed(found[index], names)
    return "".join(parts)


def _is_list(loud: Sequence[Token]) -> bool:
    """Whether it is names with marks between them, as ``notes, marks`` and ``{notes,marks}`` are."""
    for token, following in zip(loud, (*loud[1:], Token("mark", ",")), strict=True):
        if token.name is None and not set(token.text) <= _BETWEEN_NAMES:
            return False
        if token.name is not None and following.name is not None:
            return False
    return True


def _renamed(token: Token, names: Mapping[str, str]) -> str:
    if token.kind == "word":
        return names.get(token.text, token.text)
    new = names.get(token.name or "")
    return quote_ident(new) if new is not None else token.text
