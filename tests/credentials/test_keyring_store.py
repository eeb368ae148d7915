"""The keyring store against real keyring backend classes that behave and misbehave as platforms do."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator

import pytest
from keyring.backend import KeyringBackend
from keyring.backends.fail import Keyring as NoKeyring
from keyring.backends.null import Keyring as NullKeyring
from keyring.errors import KeyringLocked, NoKeyringError, PasswordDeleteError, PasswordSetError

from tekup_migrate.credentials.keyring_store import ALLOWED_BACKENDS, KeyringStore, open_store
from tekup_migrate.credentials.secret import Secret
from tekup_migrate.credentials.store import CredentialStoreError, MemoryStore, Trouble

REF = "abcdefghijklmnopqrst"


class Working(KeyringBackend):
    """Keeps entries, and notes what it was asked."""

    priority = 1

    def __init__(self) -> None:
        super().__init__()  # type: ignore[no-untyped-call]  # keyring leaves it so
        self.entries: dict[tuple[str, str], str] = {}
        self.asked: list[str] = []

    def get_password(self, service: str, username: str) -> str | None:
        self.asked.append(f"get {service}")
        return self.entries.get((service, username))

    def set_password(self, service: str, username: str, password: str) -> None:
        self.asked.append(f"set {service}")
        self.entries[service, username] = password

    def delete_password(self, service: str, username: str) -> None:
        if self.entries.pop((service, username), None) is None:
            raise PasswordDeleteError("No such password!")


class Locked(Working):
    def get_password(self, service: str, username: str) -> str | None:
        raise KeyringLocked("Failed to unlock the collection!")

    def set_password(self, service: str, username: str, password: str) -> None:
        raise KeyringLocked("Failed to unlock the collection!")


class Refusing(Working):
    def set_password(self, service: str, username: str, password: str) -> None:
        raise PasswordSetError("Can't store password: user interaction is not allowed")


class Forgetful(Working):
    """Like keyring's null backend: takes everything, keeps nothing."""

    def set_password(self, service: str, username: str, password: str) -> None:
        return None


class Broken(Working):
    def set_password(self, service: str, username: str, password: str) -> None:
        raise ConnectionRefusedError("the bus is gone")


class Hanging(Working):
    """Waits for an unlock dialog that nobody sees, until ``release`` is set."""

    def __init__(self) -> None:
        super().__init__()
        self.release = threading.Event()
        self.hangs = True
        self.calls = 0

    def get_password(self, service: str, username: str) -> str | None:
        self.calls += 1
        if self.hangs:
            self.release.wait(20)
        return super().get_password(service, username)


KINDS = (Working, Locked, Refusing, Forgetful, Broken, Hanging)
ALLOWED = ALLOWED_BACKENDS | {f"{kind.__module__}.{kind.__qualname__}": "a test keyring" for kind in KINDS}


@pytest.fixture
def hanging() -> Iterator[Hanging]:
    backend = Hanging()
    yield backend
    backend.release.set()


async def opened(backend: KeyringBackend) -> KeyringStore:
    return await KeyringStore.open(choose=lambda: backend, allowed=ALLOWED)


async def trouble_of(choose: Callable[[], KeyringBackend], *, limit: float = 5.0) -> Trouble:
    with pytest.raises(CredentialStoreError) as caught:
        await KeyringStore.open(choose=choose, allowed=ALLOWED, limit=limit)
    return caught.value.trouble


async def test_each_secret_is_an_entry_of_its_own() -> None:
    backend = Working()
    store = await opened(backend)
    await store.set(REF, "password", Secret("hunter2", kind="password"))
    await store.set(REF, "service key", Secret("key", kind="service key"))
    assert {service for service, _ in backend.entries} == {
        f"tekup-migrate/{REF}/password",
        f"tekup-migrate/{REF}/service key",
    }
    assert store.lasting
    assert store.name == "a test keyring"


async def test_what_is_set_is_read_in_a_later_sitting_and_forgotten() -> None:
    backend = Working()
    await (await opened(backend)).set(REF, "password", Secret("hunter2", kind="password"))
    store = await opened(backend)
    secret = await store.get(REF, "password")
    assert secret
    assert (secret.reveal(), secret.kind, secret.project) == ("hunter2", "password", REF)
    assert await store.forget(REF, "password")
    assert await store.get(REF, "password") is None
    assert not await store.forget(REF, "password")


async def test_a_secret_is_read_once_per_sitting() -> None:
    backend = Working()
    await (await opened(backend)).set(REF, "password", Secret("hunter2", kind="password"))
    store = await opened(backend)
    backend.asked.clear()
    assert await store.get(REF, "password") == await store.get(REF, "password")
    assert len(backend.asked) == 1


async def test_the_probe_leaves_nothing_behind() -> None:
    backend = Working()
    await opened(backend)
    assert backend.entries == {}
    assert any(asked.startswith("set tekup-migrate/probe") for asked in backend.asked)


async def test_no_backend_is_said() -> None:
    def none() -> KeyringBackend:
        raise NoKeyringError("No recommended backend was available.")

    assert await trouble_of(NoKeyring) is Trouble.NO_BACKEND
    assert await trouble_of(none) is Trouble.NO_BACKEND


async def test_a_backend_that_is_not_on_the_list_is_never_used() -> None:
    class Plaintext(Working):
        """As keyrings.alt would be."""

    backend = Plaintext()
    assert await trouble_of(lambda: backend) is Trouble.NOT_ALLOWED
    assert await trouble_of(NullKeyring) is Trouble.NOT_ALLOWED
    assert backend.asked == []


async def test_a_locked_one_a_refusing_one_a_broken_one_and_a_forgetful_one_are_told_apart() -> None:
    assert await trouble_of(Locked) is Trouble.LOCKED
    assert await trouble_of(Refusing) is Trouble.REFUSED
    assert await trouble_of(Broken) is Trouble.FAILED
    assert await trouble_of(Forgetful) is Trouble.FAILED


async def test_one_that_hangs_is_given_up_on(hanging: Hanging) -> None:
    started = time.monotonic()
    assert await trouble_of(lambda: hanging, limit=0.2) is Trouble.HANGING
    assert time.monotonic() - started < 2


async def test_no_second_call_is_made_while_one_hangs_and_it_works_again_afterwards(hanging: Hanging) -> None:
    hanging.hangs = False
    store = await KeyringStore.open(choose=lambda: hanging, allowed=ALLOWED, limit=0.3)
    hanging.hangs, hanging.calls = True, 0
    for _ in range(3):
        with pytest.raises(CredentialStoreError) as caught:
            await store.get(REF, "password")
        assert caught.value.trouble is Trouble.HANGING
    assert hanging.calls == 1
    hanging.hangs = False
    hanging.release.set()
    time.sleep(0.1)
    assert await store.get(REF, "password") is None


async def test_a_defect_of_ours_is_not_taken_for_a_keyring_error() -> None:
    def defective() -> KeyringBackend:
        raise AssertionError("a defect")

    with pytest.raises(AssertionError):
        await KeyringStore.open(choose=defective, allowed=ALLOWED)


async def test_a_secret_that_windows_could_not_keep_is_refused_everywhere() -> None:
    store = await opened(Working())
    await store.set(REF, "service key", Secret("x" * 1280, kind="service key"))
    with pytest.raises(CredentialStoreError) as caught:
        await store.set(REF, "service key", Secret("😀" * 641, kind="service key"))
    assert caught.value.trouble is Trouble.TOO_LONG


async def test_the_keyring_is_taken_when_the_probe_passes() -> None:
    opening = await open_store(choose=Working, allowed=ALLOWED)
    assert isinstance(opening.store, KeyringStore)
    assert opening.trouble is None


@pytest.mark.parametrize(("choose", "trouble"), [(NoKeyring, Trouble.NO_BACKEND), (Locked, Trouble.LOCKED)])
async def test_memory_is_taken_with_the_reason_when_it_does_not(
    choose: Callable[[], KeyringBackend], trouble: Trouble
) -> None:
    opening = await open_store(choose=choose, allowed=ALLOWED)
    assert isinstance(opening.store, MemoryStore)
    assert not opening.store.lasting
    assert opening.trouble
    assert opening.trouble.trouble is trouble
    assert "memory" in opening.trouble.remedy
