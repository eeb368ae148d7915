"""A host that has an IPv6 address only, as a project's direct host has, met from a network without IPv6.

The network is a real one: a namespace of its own, with a hosts file that gives the name nothing but that address.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

HOST = "db.abcdefghijklmnopqrst.supabase.co"
ADDRESS = "2a05:d014:1c06:5f00::1"
APART = ("unshare", "--map-root-user", "--mount", "--net")

CONNECT = """
    import asyncio, json, sys
    from tekup_migrate.credentials.secret import Secret
    from tekup_migrate.errors import ConnectionFailedError
    from tekup_migrate.postgres import connection
    from tekup_migrate.postgres.dsn import parse_url

    connection.CONNECT_TIMEOUT_SECONDS = 1.0
    try:
        asyncio.run(connection.connect(parse_url(sys.argv[1]).url, Secret("x", kind="password"), region="eu-west-3"))
    except ConnectionFailedError as error:
        print(json.dumps([error.title, error.happened, error.remedy]))
"""


def failure(folder: Path, url: str, *, route: str = "true") -> list[str]:
    """Connect from a network of its own; ``route`` is the command that sets it up."""
    if not all(shutil.which(program) for program in ("unshare", "ip", "mount")):
        pytest.skip("unshare, ip and mount are needed to make a network without IPv6")
    hosts, script = folder / "hosts", folder / "connect.py"
    hosts.write_text(f"{ADDRESS} {HOST}\n", encoding="utf-8")
    script.write_text("\n".join(line[4:] for line in CONNECT.splitlines()), encoding="utf-8")
    shell = f'mount --bind "{hosts}" /etc/hosts && {route} && exec "{sys.executable}" "{script}" "{url}"'
    environment = {**os.environ, "PYTHONPATH": str(Path(__file__).parents[2])}
    argv = [*APART, "sh", "-c", shell]
    done = subprocess.run(argv, env=environment, capture_output=True, text=True, timeout=60, check=False)
    if done.returncode and "unshare" in done.stderr:
        pytest.skip(f"this account may not make a network of its own: {done.stderr.strip()}")
    assert done.returncode == 0, done.stderr
    found: list[str] = json.loads(done.stdout)
    return found


@pytest.mark.skipif(sys.platform != "linux", reason="network namespaces are Linux's")
@pytest.mark.parametrize(
    ("route", "why"),
    [
        ("true", "this machine has no IPv6 route"),
        ("ip link set lo up && ip -6 route add 2000::/3 dev lo", "nothing came back over this machine's IPv6"),
    ],
    ids=["no route", "a route that leads nowhere"],
)
def test_a_direct_host_with_an_ipv6_address_only_is_named_with_the_session_poolers_form(
    tmp_path: Path, route: str, why: str
) -> None:
    title, happened, remedy = failure(tmp_path, f"postgresql://postgres@{HOST}/postgres", route=route)
    assert title == "The host is reachable by IPv6 only"
    assert happened == f"{HOST} has only an IPv6 address, and {why}."
    form = "postgresql://postgres.abcdefghijklmnopqrst@aws-<n>-eu-west-3.pooler.supabase.com:5432/postgres"
    assert remedy == f"Use the session pooler: {form}"


@pytest.mark.skipif(sys.platform != "linux", reason="network namespaces are Linux's")
def test_another_host_with_an_ipv6_address_only_is_not_sent_to_a_pooler(tmp_path: Path) -> None:
    title, _, remedy = failure(tmp_path, f"postgresql://me@[{ADDRESS}]/x")
    assert (title, remedy) == ("The host is reachable by IPv6 only", "Use a network with IPv6.")
