"""Reconciles one table in a process of its own, and prints its peak of resident memory in bytes."""

from __future__ import annotations

import asyncio
import json
import os
import sys

from tekup_migrate.credentials.secret import Secret
from tekup_migrate.gate import Gate
from tekup_migrate.memory import peak_memory
from tekup_migrate.postgres.dsn import parse_url
from tekup_migrate.postgres.outcome import Policy, TableMove
from tekup_migrate.postgres.quoting import Relation
from tekup_migrate.postgres.reconcile import reconcile
from tekup_migrate.postgres.side import Side


def _side(name: str) -> Side:
    return Side(parse_url(os.environ[f"{name}_URL"]).url, Secret(os.environ[f"{name}_PASSWORD"], kind="password"))


async def _copy(table: str) -> dict[str, object]:
    move = TableMove(source=Relation("public", table), target=Relation("public", table))
    async with _side("SOURCE") as source, _side("TARGET") as target:
        outcome = await reconcile(
            source, target, move, write=True, policy=Policy.OURS, emit=lambda _: None, gate=Gate()
        )
    sent = outcome.tally.sent
    return {"verdict": outcome.verdict.value, "rows": sent.rows, "bytes": sent.bytes, "peak": peak_memory()}


if __name__ == "__main__":
    sys.stdout.write(json.dumps(asyncio.run(_copy(sys.argv[1]))))
