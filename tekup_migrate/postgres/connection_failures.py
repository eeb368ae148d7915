"""What a failed connection means, and what to do about it."""

from __future__ import annotations

import asyncio
import socket
import ssl
from collections.abc import Iterator

from tekup_migrate.errors import ConnectionFailedError, PasswordRefusedError
from tekup_migrate.postgres.dsn import ConnectionKind, ConnectionUrl, session_pooler_form

PASSWORD_REFUSED = "The password was refused"  # noqa: S105 - a sentence, not a value
_TENANT = "tenant or user not found"


async def diagnose(error: BaseException, url: ConnectionUrl, *, region: str = "") -> ConnectionFailedError:
    """Turn what the driver raised into its cause and cure; never holds the password.

    ``region`` is the project's, where it is known and the URL does not name it.
    """
    chain = list(_causes(error))
    text = "; ".join(f"{type(part).__name__}: {part}" for part in chain)
    title, happened, remedy = await _explain(chain, text.lower(), url, url.region or region)
    kind = PasswordRefusedError if title == PASSWORD_REFUSED else ConnectionFailedError
    return kind(
        title,
        happened=happened,
        unchanged="Nothing was read or written.",
        remedy=remedy,
        details=text,
    )


def _causes(error: BaseException | None) -> Iterator[BaseException]:
    while error is not None:
        yield error
        if isinstance(error, BaseExceptionGroup):
            for part in error.exceptions:
                yield from _causes(part)
        error = error.__cause__ or (None if error.__suppress_context__ else error.__context__)


async def _explain(chain: list[BaseException], text: str, url: ConnectionUrl, region: str) -> tuple[str, str, str]:
    if _TENANT in text:
        return (
            "The pooler does not know this project",
            f"{url.host} has no tenant for the user {url.user}: the shard number, the region or the ref is wrong.",
            "Copy the session pooler's URL again from the dashboard's Connect dialog. The password is not the cause.",
        )
    return _refused_by_server(chain, text, url) or _untrusted(chain, url) or await _unreachable(chain, url, region)


def _refused_by_server(chain: list[BaseException], text: str, url: ConnectionUrl) -> tuple[str, str, str] | None:
    state = next((str(s) for part in chain if (s := getattr(part, "sqlstate", None))), "")
    if state in ("28P01", "28000") or "password authentication failed" in text:
        return (
            PASSWORD_REFUSED,
            f"{url.label} refused the password of {url.user}.",
            "Enter it again, or reset it in the project's database settings.",
        )
    if state == "53300" or "too many" in text or "max client" in text or "remaining connection slots" in text:
        return (
            "The server has no free connection",
            f"{url.label} takes no more connections.",
            "Stop an app that holds many, wait a minute, and try again.",
        )
    if state == "3D000":
        return (
            "There is no such database",
            f"{url.host}:{url.port} has no database {url.database}.",
            "On Supabase it is called postgres.",
        )
    if state == "57P03":
        return (
            "The server is starting or stopping",
            f"{url.label} is not ready for connections.",
            "Wait and try again.",
        )
    return None


def _untrusted(chain: list[BaseException], url: ConnectionUrl) -> tuple[str, str, str] | None:
    refused = next((part for part in chain if isinstance(part, ssl.SSLCertVerificationError)), None)
    if refused is not None:
        why, remedy = _distrust(refused, url)
        return "The server's certificate is not trusted", f"{url.host} showed a certificate {why}.", remedy
    if any(isinstance(part, ssl.SSLError) for part in chain) or any("rejected SSL" in str(part) for part in chain):
        return (
            "The server does not speak TLS",
            f"{url.label} refused an encrypted connection; an unencrypted one is made to this machine only.",
            "Check host and port, or turn TLS on at the server.",
        )
    return None


_OUT_OF_DATE, _NOT_YET, _OTHER_HOST, _OTHER_ADDRESS = 10, 9, 62, 64
"""OpenSSL's verification codes (x509_vfy.h)."""


def _distrust(refused: ssl.SSLCertVerificationError, url: ConnectionUrl) -> tuple[str, str]:
    """Return what is wrong with a certificate, and what to do about it."""
    code = refused.verify_code
    if code == _OUT_OF_DATE:
        return "that is out of date", "Check this machine's clock; if it is right, the server needs a new certificate."
    if code == _NOT_YET:
        return "that is not valid yet", "Check this machine's clock."
    if code in (_OTHER_HOST, _OTHER_ADDRESS):
        return "that is for another host", f"Check the host's name: {url.host}. A proxy in between must be bypassed."
    return (
        "that neither the public CAs nor Supabase's root vouches for",
        "Check the host's name; a proxy or a virus scanner that opens TLS must be bypassed.",
    )


async def _unreachable(chain: list[BaseException], url: ConnectionUrl, region: str) -> tuple[str, str, str]:
    pooler = f"Use the session pooler: {session_pooler_form(url.ref, region)}"
    families = await _families(url)
    if not families:
        return (
            "The host's name does not resolve",
            f"{url.host} is not known to the name service. A paused or deleted project loses its name.",
            "Check the ref, the network, and in the dashboard whether the project is paused.",
        )
    if families == {socket.AF_INET6} and not url.is_loopback and _unanswered(chain):
        routed = await asyncio.to_thread(_has_ipv6)
        why = "nothing came back over this machine's IPv6" if routed else "this machine has no IPv6 route"
        return (
            "The host is reachable by IPv6 only",
            f"{url.host} has only an IPv6 address, and {why}.",
            pooler if url.kind is ConnectionKind.DIRECT else "Use a network with IPv6.",
        )
    if any(isinstance(part, ConnectionRefusedError) for part in chain):
        return (
            "The connection was refused",
            f"Nothing listens at {url.host}:{url.port}, or it is closed to this machine.",
            "Check host and port, and the project's network restrictions.",
        )
    if any(isinstance(part, TimeoutError) for part in chain):
        return (
            "The server did not answer in time",
            f"{url.label} did not answer. A firewall may drop the packets, or the project is waking up.",
            "Check the project's network restrictions and try again. " + pooler,
        )
    return (
        "The connection failed",
        f"{url.label} could not be reached: {chain[0]}.",
        "Check the network and the URL, and try again.",
    )


def _unanswered(chain: list[BaseException]) -> bool:
    """Whether no machine at the host's address can have answered; a refusal is an answer."""
    return any(isinstance(part, OSError) for part in chain) and not any(
        isinstance(part, ConnectionError | ssl.SSLError) for part in chain
    )


async def _families(url: ConnectionUrl) -> set[int]:
    loop = asyncio.get_running_loop()
    try:
        found = await loop.getaddrinfo(url.host, url.port, type=socket.SOCK_STREAM)
    except (OSError, UnicodeError):
        # UnicodeError: a name that cannot be encoded for the name service at all.
        return set()
    return {int(entry[0]) for entry in found}


def _has_ipv6() -> bool:
    # Connecting a datagram socket sends nothing: it only asks for a route. The address is Google's public resolver.
    try:
        with socket.socket(socket.AF_INET6, socket.SOCK_DGRAM) as probe:
            probe.connect(("2001:4860:4860::8888", 53))
    except OSError:
        return False
    return True
