"""The small real app that stands in all sample repositories: reads its own env file, serves its database.

``python -m tekup_migrate.rehearsal.sample_app --config app.toml`` serves HTTP; with ``--worker`` it writes to
the database instead, with ``--check`` it runs its checks and exits 0 or 1.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import itertools
import json
import signal
import sys
from collections.abc import Coroutine
from dataclasses import dataclass
from http import HTTPStatus
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import parse_qs, urlsplit

from tekup_migrate.rehearsal.cipher import unseal
from tekup_migrate.rehearsal.sample_config import (
    Environment,
    SampleConfig,
    Worker,
    read_config,
    read_environment,
)

if TYPE_CHECKING:
    from asyncpg import Pool, Record

_REQUEST_SECONDS = 10.0
_RETRY_SECONDS = 0.5
_LARGEST_HEAD = 16 * 1024


@dataclass(frozen=True)
class Answer:
    """An HTTP answer."""

    status: HTTPStatus
    kind: str
    body: bytes

    @staticmethod
    def of(status: HTTPStatus, content: object) -> Answer:
        """Answer with JSON."""
        body = json.dumps(content, default=str, ensure_ascii=False).encode()
        return Answer(status, "application/json; charset=utf-8", body)


@dataclass(frozen=True)
class SampleApp:
    """One app: its configuration and its connections."""

    config: SampleConfig
    pool: Pool[Record]

    async def answer(self, method: str, target: str) -> Answer:
        """Answer one request; a database that fails is a 503 with the error in JSON."""
        address = urlsplit(target)
        if method != "GET":
            return Answer.of(HTTPStatus.METHOD_NOT_ALLOWED, {"error": "only GET"})
        if address.path in self.config.pages:
            page = self.config.pages[address.path].encode()
            return Answer(HTTPStatus.OK, "text/html; charset=utf-8", page)
        query = parse_qs(address.query).get("q", [""])[0]
        if address.path != "/health" and address.path not in self.config.routes:
            return Answer.of(HTTPStatus.NOT_FOUND, {"error": f"no such page: {address.path}"})
        return await self._from_database(address.path, query)

    async def _from_database(self, path: str, query: str) -> Answer:
        import asyncpg

        try:
            async with asyncio.timeout(_REQUEST_SECONDS):
                if path == "/health":
                    found = await self.pool.fetchval("SELECT current_database()")
                    return Answer.of(HTTPStatus.OK, {"status": "ok", "database": found})
                sql = self.config.routes[path]
                rows = await (self.pool.fetch(sql, query) if "$1" in sql else self.pool.fetch(sql))
                return Answer.of(HTTPStatus.OK, [dict(row) for row in rows])
        except (OSError, TimeoutError, asyncpg.PostgresError, asyncpg.InterfaceError) as error:
            return Answer.of(HTTPStatus.SERVICE_UNAVAILABLE, {"status": "error", "error": str(error)})

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Serve one connection: one request, one answer, closed."""
        try:
            async with asyncio.timeout(_REQUEST_SECONDS):
                head = await reader.readuntil(b"\r\n\r\n")
            method, target, *_ = head.split(b"\r\n", 1)[0].decode("latin-1").split(" ")
            answer = await self.answer(method, target)
            writer.write(
                f"HTTP/1.1 {answer.status.value} {answer.status.phrase}\r\n"
                f"Content-Type: {answer.kind}\r\nContent-Length: {len(answer.body)}\r\n"
                "Connection: close\r\n\r\n".encode()
                + answer.body
            )
            await writer.drain()
        except (OSError, ValueError, TimeoutError, asyncio.IncompleteReadError, asyncio.LimitOverrunError):
            pass  # a caller that hangs up or talks nonsense gets no answer
        finally:
            writer.close()


async def make_pool(environment: Environment, application_name: str, size: int) -> Pool[Record]:
    """Return a pool that connects when first used, so that a missing database is an answer and not a crash."""
    import asyncpg

    return asyncpg.create_pool(
        environment.database_url,
        min_size=0,
        max_size=size,
        ssl=False,
        statement_cache_size=0,
        server_settings={"application_name": application_name},
    )


async def serve(config: SampleConfig, environment: Environment) -> int:
    """Serve until cancelled."""
    async with await make_pool(environment, config.application_name, config.pool) as pool:
        app = SampleApp(config, pool)
        server = await asyncio.start_server(app.serve, "127.0.0.1", environment.port, limit=_LARGEST_HEAD)
        port = server.sockets[0].getsockname()[1]
        print(f"{config.application_name} listens on http://127.0.0.1:{port}", flush=True)  # noqa: T201
        async with server:
            await server.serve_forever()
    return 0


async def work(worker: Worker, environment: Environment) -> int:
    """Write to the database until cancelled; a database that is away is tried again."""
    import asyncpg

    async with await make_pool(environment, worker.application_name, 1) as pool:
        for statement in itertools.cycle(worker.statements):
            pause = worker.every_ms / 1000
            try:
                await pool.execute(statement)
            except (OSError, asyncpg.PostgresError, asyncpg.InterfaceError) as error:
                print(f"{worker.application_name}: {error}", file=sys.stderr, flush=True)  # noqa: T201
                pause = _RETRY_SECONDS
            await asyncio.sleep(pause)
    return 0


async def check(config: SampleConfig, environment: Environment) -> int:
    """Run the app's checks, print a line for each, and return 0 when all hold."""
    import asyncpg

    failed = 0
    async with await make_pool(environment, config.application_name, 1) as pool:
        for each in config.checks:
            try:
                rows = await pool.fetch(each.sql)
                if not rows:
                    raise LookupError("no rows")
                if each.sealed:
                    _unseal_all([str(row[0]) for row in rows], environment)
            except (OSError, LookupError, ValueError, asyncpg.PostgresError) as error:
                failed += 1
                print(f"not ok - {each.title}: {error}", flush=True)  # noqa: T201
            else:
                print(f"ok - {each.title} ({len(rows)} rows)", flush=True)  # noqa: T201
    return 1 if failed else 0


def _unseal_all(values: list[str], environment: Environment) -> None:
    key, salt = environment.values["ENCRYPTION_KEY"], environment.values["ENCRYPTION_SALT"]
    for value in values:
        unseal(value, key=key, salt=salt)


async def run_until_told(task: Coroutine[object, object, int]) -> int:
    """Run ``task`` until it ends, or until SIGTERM or SIGINT asks for a graceful end."""
    running = asyncio.ensure_future(task)
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        # Windows has no handlers on its loop; Ctrl+C cancels the task there all the same.
        with contextlib.suppress(NotImplementedError):
            loop.add_signal_handler(number, running.cancel)
    try:
        return await running
    except asyncio.CancelledError:
        return 0


def main(arguments: list[str] | None = None) -> int:
    """Run the app as its arguments say."""
    parser = argparse.ArgumentParser(prog="sample-app")
    parser.add_argument("--config", type=Path, required=True)
    parser.add_argument("--worker", action="store_true")
    parser.add_argument("--check", action="store_true")
    options = parser.parse_args(arguments)
    config = read_config(options.config)
    folder: Path = options.config.resolve().parent
    try:
        if options.worker and config.worker is not None:
            environment = read_environment(folder / config.worker.env, config.database_key)
            return asyncio.run(run_until_told(work(config.worker, environment)))
        environment = read_environment(folder / config.env, config.database_key)
        return asyncio.run(run_until_told((check if options.check else serve)(config, environment)))
    except (OSError, LookupError) as error:
        print(f"{config.application_name} cannot start: {error}", file=sys.stderr)  # noqa: T201
        return 1


if __name__ == "__main__":
    sys.exit(main())
