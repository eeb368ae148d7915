"""One copy by tekup-migrate in a process of its own, so that its memory can be measured."""

from __future__ import annotations

import asyncio
import json
import os
import sys
import time
from contextlib import AsyncExitStack
from pathlib import Path

from tekup_migrate.credentials.secret import Secret
from tekup_migrate.events import Event
from tekup_migrate.gate import Gate
from tekup_migrate.postgres.dsn import parse_url
from tekup_migrate.postgres.foreign_keys import prove_foreign_keys
from tekup_migrate.postgres.outcome import Policy, TableMove
from tekup_migrate.postgres.proved_ranges import ProvedRanges
from tekup_migrate.postgres.quoting import Relation
from tekup_migrate.postgres.reconcile import reconcile
from tekup_migrate.postgres.side import Side
from tekup_migrate.steps import Verdict
from tests.benchmarks.tables import NAMES


def _side(name: str) -> Side:
    password = Secret(os.environ[f"{name}_PASSWORD"], kind="database password")
    return Side(parse_url(os.environ[f"{name}_URL"]).url, password)


async def copy() -> dict[str, object]:
    """Copy and prove both tables; return the figures."""
    began = time.monotonic()
    sent = chunks = copied = 0
    verdicts = []

    def ignore(_: Event) -> None:
        pass

    async with AsyncExitStack() as stack:
        proved = stack.enter_context(ProvedRanges.open(Path(os.environ["PROVED"])))
        source = await stack.enter_async_context(_side("SOURCE"))
        target = await stack.enter_async_context(_side("TARGET"))
        await stack.enter_async_context(source.snapshot())
        for name in NAMES:
            move = TableMove(source=Relation("public", name), target=Relation("public", name))
            outcome = await reconcile(
                source, target, move, write=True, policy=Policy.OURS, emit=ignore, gate=Gate(), proved=proved
            )
            verdicts.append(outcome.verdict)
            sent += outcome.tally.sent.bytes
            chunks += outcome.tally.chunks
            copied += outcome.tally.copied
        async with target.connection() as connection:
            proofs = await prove_foreign_keys(connection, [Relation("public", name) for name in NAMES])
    equal = all(verdict is Verdict.PASSED for verdict in verdicts) and all(proof.holds for proof in proofs)
    seconds = time.monotonic() - began
    return {"seconds": seconds, "bytes": sent, "chunks": chunks, "copied": copied, "equal": equal}


if __name__ == "__main__":
    sys.stdout.write(json.dumps(asyncio.run(copy())) + "\n")
