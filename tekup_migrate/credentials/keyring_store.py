"""The operating system's keyring as a credential store, and the choice of a store at start."""

from __future__ import annotations

import secrets
from collections.abc import Callable
from dataclasses import dataclass
from types import TracebackType
from typing import TYPE_CHECKING, TypeVar

from tekup_migrate.credentials.patience import GaveUpError, Patience
from tekup_migrate.credentials.secret import Secret
from tekup_migrate.credentials.store import CredentialStore, CredentialStoreError, MemoryStore, Trouble

if TYPE_CHECKING:
    from keyring.backend import KeyringBackend

T = TypeVar("T")

ALLOWED_BACKENDS = {
    "keyring.backends.SecretService.Keyring": "the Secret Service keyring",
    "keyring.backends.libsecret.Keyring": "the Secret Service keyring",
    "keyring.backends.kwallet.DBusKeyring": "KWallet",
    "keyring.backends.kwallet.DBusKeyringKWallet4": "KWallet",
    "keyring.backends.macOS.Keyring": "the macOS Keychain",
    "keyring.backends.Windows.WinVaultKeyring": "the Windows Credential Manager",
}
"""The backends that really encrypt, and what to call them. Anything else is plaintext until proven otherwise."""

SECONDS = 5.0
"""A locked Secret Service can hang for ever."""

_LONGEST = 1280  # UTF-16 units, the cap of the Windows Credential Manager; kept everywhere, so that plans travel
_USER = "tekup-migrate"
_TROUBLES = {
    "NoKeyringError": Trouble.NO_BACKEND,
    "KeyringLocked": Trouble.LOCKED,
    "LockedException": Trouble.LOCKED,
    "PasswordSetError": Trouble.REFUSED,
    "PasswordDeleteError": Trouble.REFUSED,
    "PromptDismissedException": Trouble.REFUSED,
    "KeychainDenied": Trouble.REFUSED,
}
_HAPPENED = {
    Trouble.NO_BACKEND: "No keyring was found on this machine.",
    Trouble.LOCKED: "It was not unlocked.",
    Trouble.REFUSED: "It did not let this program in.",
    Trouble.FAILED: "It answered with an error.",
}
_PACKAGES = {"keyring", "secretstorage", "jeepney", "dbus", "gi", "win32ctypes", "pywintypes"}


class KeyringStore:
    """Keeps secrets in the operating system's keyring, an entry each: ``tekup-migrate/<ref>/<kind>``.

    Made by ``open``, which probes it first. What was read once is not asked for again in this sitting.
    """

    lasting = True

    def __init__(self, backend: KeyringBackend, *, name: str, patience: Patience) -> None:
        self.name = name
        self._backend = backend
        self._patience = patience
        self._read: dict[tuple[str, str], Secret] = {}

    @classmethod
    async def open(
        cls,
        *,
        choose: Callable[[], KeyringBackend] | None = None,
        allowed: dict[str, str] | None = None,
        limit: float = SECONDS,
    ) -> KeyringStore:
        """Find the keyring and prove with a throw-away entry that it keeps, gives back and forgets.

        Args:
            choose: returns the backend; by default the one that the keyring package settles on.
            allowed: the backends that may be used, by qualified class name, with what to call them.
            limit: seconds that one call may take.

        Raises:
            CredentialStoreError: there is none that may be used, or it is locked, refuses or hangs.
        """
        patience = Patience(limit)
        names = allowed or ALLOWED_BACKENDS
        backend = await _patiently(patience, lambda: _allowed_of((choose or _default)(), names))
        store = cls(backend, name=names[_qualified(backend)], patience=patience)
        await store._probe()
        return store

    async def get(self, ref: str, kind: str) -> Secret | None:
        """Return the secret, or ``None`` when there is none; asks the keyring only once."""
        if (ref, kind) not in self._read:
            value = await self._call(lambda: self._backend.get_password(_service(ref, kind), _USER))
            if value is None:
                return None
            self._read[ref, kind] = Secret(value, kind=kind, project=ref)
        return self._read[ref, kind]

    async def set(self, ref: str, kind: str, secret: Secret) -> None:
        """Keep the secret in the place of any former one, and read it back."""
        value = secret.reveal()
        if len(value.encode("utf-16-le", "surrogatepass")) // 2 > _LONGEST:
            raise CredentialStoreError(
                Trouble.TOO_LONG, f"The {kind} is longer than {_LONGEST} characters, the most that Windows keeps."
            )
        self._read.pop((ref, kind), None)
        service = _service(ref, kind)
        await self._call(lambda: self._backend.set_password(service, _USER, value))
        if await self._call(lambda: self._backend.get_password(service, _USER)) != value:
            raise CredentialStoreError(Trouble.FAILED, f"{self.name} did not give the {kind} back as it was.")
        self._read[ref, kind] = Secret(value, kind=kind, project=ref)

    async def forget(self, ref: str, kind: str) -> bool:
        """Remove the secret; return whether there was one."""
        service = _service(ref, kind)
        self._read.pop((ref, kind), None)
        if await self._call(lambda: self._backend.get_password(service, _USER)) is None:
            return False
        await self._call(lambda: self._backend.delete_password(service, _USER))
        return True

    async def _probe(self) -> None:
        """Store, read and remove a random entry of our own."""
        ref, canary = f"probe-{secrets.token_hex(4)}", Secret(secrets.token_hex(8), kind="probe")
        await self.set(ref, "probe", canary)
        await self.forget(ref, "probe")

    async def _call(self, work: Callable[[], T]) -> T:
        return await _patiently(self._patience, work)


@dataclass(frozen=True, slots=True)
class OpenedStore:
    """The store to use, and why it is not the keyring where it is not."""

    store: CredentialStore
    trouble: CredentialStoreError | None = None


async def open_store(
    *,
    choose: Callable[[], KeyringBackend] | None = None,
    allowed: dict[str, str] | None = None,
    limit: float = SECONDS,
) -> OpenedStore:
    """Open the keyring where the probe passes; otherwise memory, with the reason to show.

    A passphrase-sealed file is the operator's choice to make (see ``sealed_file``), never a silent default.
    """
    try:
        return OpenedStore(await KeyringStore.open(choose=choose, allowed=allowed, limit=limit))
    except CredentialStoreError as error:
        return OpenedStore(MemoryStore(), error)


def _service(ref: str, kind: str) -> str:
    return f"tekup-migrate/{ref}/{kind}"


def _default() -> KeyringBackend:
    import keyring

    return keyring.get_keyring()


def _qualified(backend: KeyringBackend) -> str:
    return f"{type(backend).__module__}.{type(backend).__qualname__}"


def _allowed_of(backend: KeyringBackend, allowed: dict[str, str]) -> KeyringBackend:
    """Return the backend, or the first allowed one of a chain of them."""
    from keyring.backends.chainer import ChainerBackend
    from keyring.backends.fail import Keyring as NoKeyring

    chain = list(backend.backends) if isinstance(backend, ChainerBackend) else [backend]
    for candidate in chain:
        if _qualified(candidate) in allowed:
            return candidate
    if not chain or isinstance(backend, NoKeyring):
        raise CredentialStoreError(Trouble.NO_BACKEND, _HAPPENED[Trouble.NO_BACKEND])
    raise CredentialStoreError(
        Trouble.NOT_ALLOWED, f"The keyring that is set up, {_qualified(chain[0])}, may keep secrets unencrypted."
    )


async def _patiently(patience: Patience, work: Callable[[], T]) -> T:
    """Run a keyring call within the limit and turn what it raises into a reason."""
    with _Diagnosis():
        return await patience.call(work, name="tekup-migrate keyring")


class _Diagnosis:
    """Turns what a keyring raises into a typed reason.

    Backends raise what their platform's packages define, and those are not installed elsewhere. So the
    classes are told by their names and packages, which a list of ``except`` clauses could not do.
    """

    def __enter__(self) -> None:
        return None

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if isinstance(error, GaveUpError):
            raise CredentialStoreError(Trouble.HANGING, f"{error} It may be waiting for you.") from None
        trouble = _trouble(error) if error is not None else None
        if trouble is not None:
            said = f"{type(error).__name__}: {error}"
            raise CredentialStoreError(trouble, _HAPPENED[trouble], details=said) from error


def _trouble(error: BaseException) -> Trouble | None:
    if isinstance(error, CredentialStoreError):
        return None
    for cls in type(error).__mro__:
        if cls.__name__ in _TROUBLES:
            return _TROUBLES[cls.__name__]
    package = type(error).__module__.partition(".")[0]
    if package in _PACKAGES or isinstance(error, OSError | RuntimeError | ValueError):
        return Trouble.REFUSED if "dismissed" in str(error).lower() else Trouble.FAILED
    return None
