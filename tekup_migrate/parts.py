"""The parts of a preview that the operator decides about one by one, such as each key of an env file."""

from __future__ import annotations

from collections.abc import Mapping

import msgspec
from msgspec import Struct

REWRITE, SKIP, LEAVE, DOCUMENT = "rewrite", "skip", "leave", "document"

Choices = Mapping[str, str]
"""What was chosen, by the id of the part."""


class Part(Struct, frozen=True, kw_only=True):
    """One thing that a preview would do, and what may be chosen for it.

    Attributes:
        id: unique within the preview, and the same in every preview of the same thing.
        group: what it is part of, such as a file; a choice can be made for all of a group.
        label: how it is named: a key, a line.
        options: what can be chosen, one word each.
        choice: what holds unless the operator chooses otherwise.
        why: why it is offered, or why it cannot be rewritten.
    """

    id: str
    group: str
    label: str
    options: tuple[str, ...]
    choice: str
    why: str = ""

    def choosing(self, choices: Choices) -> Part:
        """Return this part with the choice that ``choices`` has for it, if it is one of its options."""
        wanted = choices.get(self.id, self.choice)
        return msgspec.structs.replace(self, choice=wanted) if wanted in self.options else self
