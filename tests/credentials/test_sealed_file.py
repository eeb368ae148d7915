from __future__ import annotations

import stat
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from tekup_migrate.credentials.seal import Seal, seal_kept_by
from tekup_migrate.credentials.sealed_file import SealedFileStore
from tekup_migrate.credentials.secret import Secret
from tekup_migrate.credentials.store import CredentialStoreError, MemoryStore, Trouble

REF = "abcdefghijklmnopqrst"


def passphrase(value: str = "four words of mine") -> Secret:
    return Secret(value, kind="passphrase")


@pytest.fixture
async def path(tmp_path: Path) -> Path:
    file = tmp_path / "credentials.sealed"
    store = await SealedFileStore.open(file, passphrase())
    assert not file.exists()
    await store.set(REF, "password", Secret("hunter2", kind="password"))
    await store.set(REF, "service key", Secret("swordfish", kind="service key"))
    return file


async def test_what_is_set_is_read_in_a_later_sitting_and_forgotten(path: Path) -> None:
    store = await SealedFileStore.open(path, passphrase())
    secret = await store.get(REF, "password")
    assert secret
    assert (secret.reveal(), secret.kind, secret.project) == ("hunter2", "password", REF)
    assert await store.forget(REF, "password")
    assert not await store.forget(REF, "password")
    again = await SealedFileStore.open(path, passphrase())
    assert await again.get(REF, "password") is None
    assert await again.get(REF, "service key")


async def test_nothing_can_be_read_from_the_file(path: Path) -> None:
    content = path.read_bytes()
    assert not any(word in content for word in (b"hunter2", b"swordfish", REF.encode(), b"four words"))
    if sys.platform != "win32":
        assert stat.S_IMODE(path.stat().st_mode) == 0o600


async def test_two_who_have_it_open_do_not_undo_each_others_changes(path: Path) -> None:
    one = await SealedFileStore.open(path, passphrase())
    other = await SealedFileStore.open(path, passphrase())
    await one.set(REF, "one", Secret("1", kind="one"))
    await other.set(REF, "other", Secret("2", kind="other"))
    assert await one.get(REF, "other")
    assert await other.get(REF, "one")


@pytest.mark.parametrize(
    ("damage", "trouble"),
    [
        (lambda content: content, Trouble.WRONG_PASSPHRASE),
        (lambda content: b"", Trouble.DAMAGED),
        (lambda content: content[:-20], Trouble.DAMAGED),
        (lambda content: content.replace(b'"cost":65536', b'"cost":1073741824'), Trouble.DAMAGED),
    ],
)
async def test_a_wrong_passphrase_and_a_damaged_file_are_told_apart(
    path: Path, damage: Callable[[bytes], bytes], trouble: Trouble
) -> None:
    path.write_bytes(damage(path.read_bytes()))
    before = path.read_bytes()
    with pytest.raises(CredentialStoreError) as caught:
        await SealedFileStore.open(path, passphrase("another"))
    assert caught.value.trouble is trouble
    assert path.read_bytes() == before


async def test_a_changed_file_is_not_believed(path: Path) -> None:
    content = bytearray(path.read_bytes())
    content[-10] ^= 1
    path.write_bytes(content)
    with pytest.raises(CredentialStoreError):
        await SealedFileStore.open(path, passphrase())


async def test_the_key_of_a_seal_is_made_once_and_kept() -> None:
    store = MemoryStore()
    sealed = (await seal_kept_by(store, REF)).close(b"former content")
    assert (await seal_kept_by(store, REF)).open(sealed) == b"former content"
    assert b"former" not in sealed


def test_sealing_twice_gives_different_bytes() -> None:
    seal = Seal(Seal.new_key())
    assert seal.close(b"x") != seal.close(b"x")
