"""Where secrets are kept on a machine without a keyring: the operator chooses, and a slip locks nobody out."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

from keyring.backends.fail import Keyring

from tekup_migrate.credentials.sealed_file import SealedFileStore
from tekup_migrate.credentials.secret import Secret
from tekup_migrate.credentials.store import CredentialStore, MemoryStore
from tekup_migrate.events import Event
from tekup_migrate.questions import SecretRequest
from tekup_migrate.store_choice import SEALED_FILE, choose_store
from tests.scripted import ScriptedOperator


@dataclass
class Typing(ScriptedOperator):
    """An operator who types passphrases, in order."""

    typed: list[str] = field(default_factory=list)

    async def secret(self, request: SecretRequest) -> Secret | None:
        return Secret(self.typed.pop(0), kind=request.kind) if self.typed else None


async def chosen(state: Path, operator: ScriptedOperator) -> CredentialStore:
    events: list[Event] = []
    return await choose_store(operator, events.append, state, backend=Keyring)


async def test_an_unattended_run_without_a_keyring_holds_secrets_in_memory(tmp_path: Path) -> None:
    assert isinstance(await chosen(tmp_path, ScriptedOperator()), MemoryStore)
    assert list(tmp_path.iterdir()) == []


async def test_a_sealed_file_is_opened_again_by_its_passphrase_in_the_next_sitting(tmp_path: Path) -> None:
    first = await chosen(tmp_path, Typing(choices=["file"], typed=["hemmelig", "hemmelig"]))
    assert isinstance(first, SealedFileStore)
    await first.set("ref", "password", Secret("s3cret", kind="password"))
    again = await chosen(tmp_path, Typing(typed=["wrong", "hemmelig"]))
    held = await again.get("ref", "password")
    assert held is not None
    assert held.reveal() == "s3cret"
    assert b"s3cret" not in (tmp_path / SEALED_FILE).read_bytes()


async def test_a_slip_in_the_first_passphrase_is_asked_for_again(tmp_path: Path) -> None:
    operator = Typing(choices=["file"], typed=["slip", "hemmelig", "hemmelig", "hemmelig"])
    assert isinstance(await chosen(tmp_path, operator), SealedFileStore)
    assert operator.typed == []


async def test_three_wrong_passphrases_leave_the_file_and_fall_back_to_memory(tmp_path: Path) -> None:
    first = await chosen(tmp_path, Typing(choices=["file"], typed=["hemmelig", "hemmelig"]))
    await first.set("ref", "password", Secret("s3cret", kind="password"))
    before = (tmp_path / SEALED_FILE).read_bytes()
    assert isinstance(await chosen(tmp_path, Typing(typed=["a", "b", "c"])), MemoryStore)
    assert (tmp_path / SEALED_FILE).read_bytes() == before
