"""Finds the names that SQL text refers to, by where they stand in it.

Two kinds of text: what the server printed under an empty ``search_path``, where every name outside ``pg_catalog``
is qualified, and what a person wrote in a function's body, where it is not and where keywords must tell.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from enum import Enum
from functools import cached_property

from tekup_migrate.postgres.sql_text.tokens import Token, tokens

_BEFORE_RELATION = frozenset({"FROM", "JOIN", "INTO", "UPDATE", "ONLY", "TABLE", "REFERENCES", "TRUNCATE", "LOCK"})
_ENDS_FROM = frozenset(
    {"WHERE", "GROUP", "ORDER", "HAVING", "LIMIT", "OFFSET", "RETURNING", "SET", "UNION", "INTERSECT", "EXCEPT", "LOOP",
     "SELECT", "VALUES", "WINDOW", "FETCH", "FOR", "THEN", "INTO"}
)  # fmt: skip
_KEYWORDS = _BEFORE_RELATION | _ENDS_FROM | frozenset(
    {"AS", "ON", "AND", "OR", "NOT", "IN", "BY", "LATERAL", "EXISTS", "BEGIN", "END", "IF", "ELSE", "RETURN", "QUERY",
     "EXECUTE", "PERFORM", "DELETE", "INSERT", "DISTINCT", "ALL", "CASE", "WHEN", "USING", "INNER", "LEFT", "RIGHT",
     "FULL", "CROSS", "OUTER", "NATURAL", "DECLARE", "RECURSIVE", "WITH", "CASCADE", "RESTRICT", "IS", "NULL", "LIKE",
     "BETWEEN", "CALL", "CONSTRAINT", "DO", "CONFLICT", "VIEW", "MATERIALIZED", "REFRESH"}
)  # fmt: skip

_NEXT_QUERY = frozenset({"UNION", "INTERSECT", "EXCEPT"})


class Role(Enum):
    """What a name stands for, as far as its place tells."""

    QUALIFIED = "qualified"
    CALL = "call"
    RELATION = "relation"
    PREFIX = "prefix"
    TYPE = "type"
    CONSTRAINT = "constraint"


@dataclass(frozen=True)
class Reference:
    """A name in a text.

    Attributes:
        role: what it stands for.
        schema: the schema it is qualified with, or None.
        name: the name itself.
        first: the index of its first token.
        last: the index of its last token.
        called: whether a parenthesis follows.
    """

    role: Role
    schema: str | None
    name: str
    first: int
    last: int
    called: bool = False


class Text:
    """SQL text cut into tokens, with the references in it."""

    def __init__(self, text: str, *, written: bool) -> None:
        """Cut ``text``; ``written`` says that a person wrote it, so that unqualified names count."""
        self.tokens = tokens(text)
        self._written = written
        self._loud = [index for index, token in enumerate(self.tokens) if not token.silent]
        self.aliases = self._find_aliases()

    def references(self) -> Iterator[Reference]:
        """Yield every reference in the order of the text; column names that are nothing else are left out."""
        relation_next = False
        in_from = [False]
        place = 0
        while place < len(self._loud):
            token = self._token(place)
            if token.name is None:
                relation_next = self._mark(token.text, in_from)
                place += 1
                continue
            reference, width = self._reference(place, relation_next)
            if reference is not None:
                yield reference
            relation_next = self._track(token.keyword, in_from)
            place += width

    def unaliased(self, name: str, index: int) -> frozenset[str]:
        """Return the schemas of the qualified things of that name, without another one, that a token can mean by it.

        They stand in the innermost query around the token that has any.
        """
        found: dict[int, set[str]] = {}
        for reference in self.references():
            if reference.name == name and reference.schema is not None:
                place = self._loud.index(reference.last) + 1
                if self._token(place).name is None or self._is_keyword(place):
                    found.setdefault(self._scopes[reference.first][-1], set()).add(reference.schema)
        around = next((found[scope] for scope in reversed(self._scopes[index]) if scope in found), set())
        return frozenset(around)

    @cached_property
    def _scopes(self) -> list[tuple[int, ...]]:
        """The queries that each token stands in, the innermost last: each parenthesis, and each arm of a UNION."""
        stack, count, found = [0], 0, []
        for token in self.tokens:
            if token.text == "(" or token.keyword in _NEXT_QUERY or token.text == ";":
                count += 1
                stack = [*stack, count] if token.text == "(" else [*stack[:-1], count]
            found.append(tuple(stack))
            if token.text == ")" and len(stack) > 1:
                stack = stack[:-1]
        return found

    def _mark(self, text: str, in_from: list[bool]) -> bool:
        """Follow parentheses and commas; return whether a relation's name may come next."""
        if text == "(":
            in_from.append(False)
        elif text == ")" and len(in_from) > 1:
            in_from.pop()
        elif text == ";":
            in_from[:] = [False]
        return text == "," and in_from[-1]

    def _track(self, keyword: str, in_from: list[bool]) -> bool:
        if keyword == "FROM":
            in_from[-1] = True
        elif keyword in _ENDS_FROM:
            in_from[-1] = False
        return keyword in _BEFORE_RELATION

    def _reference(self, place: int, relation_next: bool) -> tuple[Reference | None, int]:
        """Return the reference that starts here, if any, and how many loud tokens were used up."""
        name = self._token(place).name
        assert name is not None
        if self._text(place + 1) == "." and self._text(place - 1) != ".":
            return self._dotted(place, name)
        index = self._loud[place]
        if self._token(place - 1).keyword == "CONSTRAINT" and self._token(place - 2).keyword == "ON":
            return Reference(Role.CONSTRAINT, None, name, index, index), 1
        if not self._written or self._text(place - 1) == "." or self._is_keyword(place):
            return None, 1
        role = self._role(place, relation_next)
        if role is None:
            return None, 1
        return Reference(role, None, name, index, index, self._text(place + 1) == "("), 1

    def _dotted(self, place: int, first: str) -> tuple[Reference | None, int]:
        following = self._token(place + 2)
        second = following.name or (following.text if following.kind == "operator" else None)
        if second is None:
            index = self._loud[place]
            return Reference(Role.PREFIX, None, first, index, index), 2
        last = self._loud[place + 2]
        called = self._text(place + 3) == "("
        return Reference(Role.QUALIFIED, first, second, self._loud[place], last, called), 3

    def _role(self, place: int, relation_next: bool) -> Role | None:
        before, after = self._token(place - 1), self._token(place + 1)
        if relation_next:
            return Role.RELATION
        if before.keyword == "CONSTRAINT":
            return Role.CONSTRAINT
        if before.text == "::":
            return Role.TYPE
        if after.text == "%" and self._token(place + 2).keyword in ("ROWTYPE", "TYPE"):
            return Role.RELATION
        if after.text == "(":
            return Role.CALL
        declared = before.name is not None and not self._is_keyword(place - 1)
        return Role.TYPE if declared and after.text in (";", ":=", "[", "=") else None

    def _is_keyword(self, place: int) -> bool:
        return self._token(place).keyword in _KEYWORDS

    def _find_aliases(self) -> frozenset[str]:
        """Return names that the text itself gives to something: aliases, and ``WITH`` queries."""
        found = set()
        for place in range(len(self._loud)):
            name = self._token(place).name
            if name is None or self._is_keyword(place) or self._text(place + 1) == ".":
                continue
            before = self._token(place - 1)
            after = self._token(place + 1)
            if after.text == "%":
                continue
            is_with_query = after.keyword == "AS" and self._text(place + 2) == "("
            follows_name = before.name is not None and not self._is_keyword(place - 1)
            if before.text == ")" or before.keyword == "AS" or follows_name or is_with_query:
                found.add(name)
        return frozenset(found)

    def _token(self, place: int) -> Token:
        if 0 <= place < len(self._loud):
            return self.tokens[self._loud[place]]
        return Token("space", "")

    def _text(self, place: int) -> str:
        return self._token(place).text
