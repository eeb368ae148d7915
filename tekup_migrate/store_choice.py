"""Which credential store a sitting uses: the keyring, or what the operator chooses where there is none."""

from __future__ import annotations

import os
from collections.abc import Callable, MutableMapping
from pathlib import Path
from typing import TYPE_CHECKING

from tekup_migrate.credentials.keyring_store import open_store
from tekup_migrate.credentials.sealed_file import SealedFileStore
from tekup_migrate.credentials.secret import Secret
from tekup_migrate.credentials.store import CredentialStore, CredentialStoreError, MemoryStore, Trouble
from tekup_migrate.events import Listener, Ran
from tekup_migrate.questions import Option, Question, SecretRequest
from tekup_migrate.secret_source import taken_from
from tekup_migrate.steps import Operator

if TYPE_CHECKING:
    from keyring.backend import KeyringBackend

SEALED_FILE = "credentials.sealed"
PASSPHRASE_VARIABLE = "TEKUP_MIGRATE_PASSPHRASE"  # noqa: S105 - a name, not a value
_TRIES = 3


async def choose_store(
    operator: Operator,
    listen: Listener,
    state: Path,
    *,
    backend: Callable[[], KeyringBackend] | None = None,
    environment: MutableMapping[str, str] = os.environ,
) -> CredentialStore:
    """Return the keyring where it works; else a file sealed by a passphrase, or memory, as the operator says.

    What a run needs to take its env files back is sealed with a key from this store, so memory means that they
    can be taken back in this sitting only. ``backend`` is another way of finding the keyring than the usual one.
    A passphrase in ``TEKUP_MIGRATE_PASSPHRASE`` chooses the sealed file without a question.

    Raises:
        CredentialStoreError: the passphrase in the environment is not the file's, or the file cannot be used.
    """
    opened = await open_store(choose=backend)
    if opened.trouble is None:
        return opened.store
    listen(Ran(kind="note", text=f"{opened.trouble.title}. {opened.trouble.happened}"))
    path = state / SEALED_FILE
    given = taken_from(environment).get(PASSPHRASE_VARIABLE)
    if given:
        return await SealedFileStore.open(path, Secret(given, kind="passphrase"))
    if not path.exists() and await operator.choose(_question(opened.trouble)) != "file":
        return MemoryStore()
    for _ in range(_TRIES):
        passphrase = await _passphrase(operator, known=path.exists())
        if passphrase is None:
            break
        try:
            return await SealedFileStore.open(path, passphrase)
        except CredentialStoreError as error:
            if error.trouble is not Trouble.WRONG_PASSPHRASE:
                raise
            listen(Ran(kind="note", text=f"{error.title}."))
    listen(Ran(kind="note", text="Secrets are held in memory for this sitting and asked for again at the next."))
    return MemoryStore()


async def _passphrase(operator: Operator, *, known: bool) -> Secret | None:
    why = "It opens the file that holds this machine's secrets." if known else "It will seal the file of secrets."
    request = SecretRequest(kind="passphrase", project="this machine", why=why, kept_in="memory, for this sitting only")
    given = await operator.secret(request)
    if given is None or known:
        return given
    again = SecretRequest(
        kind="passphrase, once more",
        project="this machine",
        why="A slip would lock you out.",
        kept_in="memory, for this sitting only",
    )
    return given if await operator.secret(again) == given else await _passphrase(operator, known=known)


def _question(trouble: CredentialStoreError) -> Question:
    return Question(
        title="Where secrets are kept",
        text=f"{trouble.title}. {trouble.happened}",
        options=(
            Option("file", "In a file sealed by a passphrase", "The passphrase is asked for at every sitting."),
            Option(
                "memory",
                "In memory, for this sitting only",
                "Everything is asked for again, and rewritten env files can be taken back in this sitting only.",
            ),
        ),
        safe="memory",
    )
