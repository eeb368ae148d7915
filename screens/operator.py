"""The operator at the keyboard: answers the engine's questions with dialogs."""

from __future__ import annotations

from typing import Protocol, TypeVar

from screens.dialogs.accept import AcceptDialog
from screens.dialogs.ask_secret import SecretDialog
from screens.dialogs.attest import AttestDialog
from screens.dialogs.choose import ChooseDialog
from screens.dialogs.confirm import ConfirmDialog
from screens.dialogs.connect import ConnectDialog
from screens.dialogs.dialog import Dialog
from screens.dialogs.line import LineDialog
from tekup_migrate.credentials.secret import Secret
from tekup_migrate.errors import PauseRequested
from tekup_migrate.plan import Plan
from tekup_migrate.questions import (
    Attestation,
    ConnectionAnswer,
    ConnectionRequest,
    Question,
    Reply,
    SecretRequest,
    TextRequest,
)
from tekup_migrate.steps import Preview, Step

T = TypeVar("T")


class Asker(Protocol):
    """Whoever can put a dialog before the operator and wait for the answer."""

    @property
    def opening_key(self) -> str:
        """The key that was pressed last, so that no dialog takes it for an answer."""
        ...

    async def ask(self, dialog: Dialog[T]) -> T:
        """Show a dialog, call the operator's attention to it, and return the answer."""
        ...


class WizardOperator:
    """Implements the engine's ``Operator`` with dialogs."""

    def __init__(self, asker: Asker, plan: Plan) -> None:
        self._asker = asker
        self._plan = plan

    async def confirm(self, step: Step, preview: Preview) -> Reply:
        """Show exactly what the step will do, and let it go ahead, skip it, or decline."""
        dialog = AcceptDialog if preview.parts else ConfirmDialog
        return await self._asker.ask(dialog(step, preview, opening_key=self._asker.opening_key))

    async def choose(self, question: Question) -> str:
        """Return the id of the chosen option.

        Raises:
            PauseRequested: the operator wants to decide later.
        """
        chosen = await self._asker.ask(ChooseDialog(question))
        if not chosen:
            raise PauseRequested
        return chosen

    async def write(self, request: TextRequest) -> str:
        """Return the line that was typed, or an empty text when the operator typed none."""
        return await self._asker.ask(LineDialog(request))

    async def secret(self, request: SecretRequest) -> Secret | None:
        """Return the secret, or None when the operator does not have it now."""
        return await self._asker.ask(SecretDialog(request, self._plan))

    async def connection(self, request: ConnectionRequest) -> ConnectionAnswer | None:
        """Return what to connect with, or None when the operator does not have it now."""
        return await self._asker.ask(ConnectDialog(request))

    async def attest(self, request: Attestation) -> Reply:
        """Let the operator say that manual work is done, skip it, or decline."""
        return await self._asker.ask(AttestDialog(request))
