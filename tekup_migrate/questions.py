"""What the operator is asked besides a step's preview, and what comes back: choices, words, secrets, attestations."""

from __future__ import annotations

from enum import Enum
from typing import TYPE_CHECKING

from msgspec import Struct

from tekup_migrate.parts import Choices

if TYPE_CHECKING:
    from tekup_migrate.credentials.secret import Secret
    from tekup_migrate.errors import MigrationError


class Answer(Enum):
    """What the operator said to a preview or a request to attest."""

    PROCEED = "proceed"
    SKIP = "skip"
    DECLINE = "decline"


class Reply(Struct, frozen=True):
    """An answer, with the reason that a skip must carry, and what was chosen for parts of the preview."""

    answer: Answer
    reason: str = ""
    choices: Choices = {}


class Option(Struct, frozen=True):
    """One thing the operator can choose."""

    id: str
    label: str
    consequence: str = ""


class Question(Struct, frozen=True, kw_only=True):
    """A choice only the operator can make; ``safe`` names the option an unattended run may take."""

    title: str
    text: str
    options: tuple[Option, ...]
    safe: str


class TextRequest(Struct, frozen=True, kw_only=True):
    """A line that the operator may type: a name, or a reason; ``trouble`` says what was wrong with the one before."""

    title: str
    text: str
    verb: str
    trouble: str = ""


class SecretRequest(Struct, frozen=True, kw_only=True):
    """A secret that is needed and not held; ``trouble`` says what was wrong with the one that was there or given."""

    kind: str
    project: str
    why: str
    kept_in: str
    trouble: str = ""


class Attestation(Struct, frozen=True, kw_only=True):
    """Manual work: what to do, where, and what the operator's word will be recorded for."""

    id: str
    title: str
    instruction: str
    address: str = ""


class ConnectionRequest(Struct, frozen=True, kw_only=True):
    """A connection that is needed: to which project, what is known of it so far, and what was wrong with that.

    Attributes:
        title: how the project is named.
        ref: its reference.
        region: the cloud region it is said to be in.
        text: the URL as it stands, without a password; what was pasted before, where there was a try.
        planned: the plan's own URL, without a password.
        password: the password as it stands.
        trouble: why this does not connect, cause and cure; None before the first try.
        kept_in: where the password will be kept.
    """

    title: str
    ref: str
    region: str
    text: str
    planned: str
    password: Secret | None
    trouble: MigrationError | None
    kept_in: str


class ConnectionAnswer(Struct, frozen=True, kw_only=True):
    """What to connect with: a URL or its parts, as pasted; a password in it counts where ``password`` is None."""

    text: str
    password: Secret | None
