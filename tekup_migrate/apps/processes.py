"""Running an app's commands: no shell, output by line, and nothing left behind."""

from __future__ import annotations

import asyncio
import time
from collections import deque
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

from tekup_migrate.apps.executable import resolve_executable
from tekup_migrate.apps.lines import LineSplitter
from tekup_migrate.errors import CommandFailedError
from tekup_migrate.process_tree import ProcessTree, spawn_options

TAIL_LINES = 200
"""Last lines of output that are kept."""

_DRAIN_SECONDS = 1.0
_TRACK_SECONDS = 2.0


@dataclass(frozen=True)
class Finished:
    """A command that ran to its end; ``tail`` holds the last lines of stdout and stderr together."""

    argv: tuple[str, ...]
    exit_code: int
    seconds: float
    tail: tuple[str, ...]

    def require_success(self) -> Finished:
        """Return self, or raise ``CommandFailedError`` with the last lines when the exit code is not 0."""
        if self.exit_code != 0:
            raise CommandFailedError(
                f"{self.argv[0]} failed",
                happened=f"`{' '.join(self.argv)}` ended with exit code {self.exit_code} after {self.seconds:.1f} s.",
                unchanged="Nothing beyond what the command itself did.",
                remedy="Read its last lines below, put right what they name, and try again.",
                details="\n".join(self.tail[-30:]),
            )
        return self


class _Output(asyncio.SubprocessProtocol):
    """Collects what the event loop says about one child."""

    def __init__(self) -> None:
        self.chunks: asyncio.Queue[bytes | None] = asyncio.Queue()
        self.exited = asyncio.Event()

    def pipe_data_received(self, fd: int, data: bytes) -> None:  # noqa: ARG002, RUF100
        """Keep what the child printed."""
        self.chunks.put_nowait(data)

    def pipe_connection_lost(self, fd: int, exc: Exception | None) -> None:  # noqa: ARG002, RUF100
        """Mark the end of what the child prints."""
        self.chunks.put_nowait(None)

    def process_exited(self) -> None:
        """Wake whoever waits for the child."""
        self.exited.set()


class RunningProcess:
    """A program that is running, or has just ended, with the last lines it printed."""

    def __init__(
        self,
        argv: Sequence[str],
        transport: asyncio.SubprocessTransport,
        output: _Output,
        on_line: Callable[[str], None] | None,
    ) -> None:
        self.argv = tuple(argv)
        self.pid = transport.get_pid()
        self._transport = transport
        self._output = output
        self._on_line = on_line
        self._lines: deque[str] = deque(maxlen=TAIL_LINES)
        self._tree = ProcessTree(self.pid)
        self._started = time.monotonic()
        self._pump = asyncio.create_task(self._read())
        self._tracker = asyncio.create_task(self._track())

    @property
    def started(self) -> float:
        """When the program started, in seconds since the epoch; with the pid it names the tree for good."""
        return self._tree.started

    @property
    def tail(self) -> tuple[str, ...]:
        """The last lines printed, at most ``TAIL_LINES``."""
        return tuple(self._lines)

    @property
    def exit_code(self) -> int | None:
        """The exit code of the program that was started, None while it runs; negative for a signal."""
        return self._transport.get_returncode()

    @property
    def seconds(self) -> float:
        """Seconds since the start."""
        return time.monotonic() - self._started

    async def ended(self) -> bool:
        """Whether the program and everything it started have ended."""
        if self.exit_code is None:
            return False
        return not await asyncio.to_thread(self._tree.living)

    async def wait(self) -> int:
        """Wait for the program itself to end, and return its exit code. An error of ``on_line`` is raised."""
        exited = asyncio.create_task(self._output.exited.wait())
        try:
            await asyncio.wait({exited, self._pump}, return_when=asyncio.FIRST_COMPLETED)
            if self._pump.done():
                self._pump.result()
            await exited
        finally:
            exited.cancel()
        await self._drain()
        return self.exit_code or 0

    async def stop(self, *, grace: float = 5.0) -> None:
        """End the program and everything it started; does nothing when all of it has ended."""
        self._tracker.cancel()
        try:
            await self._tree.end(grace=grace)
        finally:
            if not self._pump.done():
                await asyncio.wait({self._pump}, timeout=_DRAIN_SECONDS)
            self._pump.cancel()
            await asyncio.wait({self._pump, self._tracker})
            # Closing polls the child, which takes its exit code away from asyncio's own watcher.
            await asyncio.wait({asyncio.create_task(self._output.exited.wait())}, timeout=_DRAIN_SECONDS)
            self._transport.close()

    async def _drain(self) -> None:
        # A program left running by the launcher may hold the pipe open for ever.
        done, _ = await asyncio.wait({self._pump}, timeout=_DRAIN_SECONDS)
        for pump in done:
            pump.result()

    async def _read(self) -> None:
        splitter = LineSplitter()
        while (chunk := await self._output.chunks.get()) is not None:
            self._keep(splitter.feed(chunk))
        self._keep(splitter.finish())

    def _keep(self, lines: Sequence[str]) -> None:
        for line in lines:
            self._lines.append(line)
            if self._on_line is not None:
                self._on_line(line)

    async def _track(self) -> None:
        # A descendant that leaves our session is only found while its parent still lives.
        while True:
            await asyncio.to_thread(self._tree.living)
            await asyncio.sleep(_TRACK_SECONDS)


@asynccontextmanager
async def start_process(
    argv: Sequence[str],
    *,
    cwd: Path,
    environment: Mapping[str, str],
    on_line: Callable[[str], None] | None = None,
) -> AsyncIterator[RunningProcess]:
    """Start a program that keeps running, and end its whole tree when the block is left.

    ``environment`` is all that the program sees. It has no input and no terminal.

    Raises:
        CommandFailedError: the program was not found or could not be started.
    """
    program = resolve_executable(argv, cwd=cwd, environment=environment)
    try:
        transport, output = await asyncio.get_running_loop().subprocess_exec(
            _Output,
            str(program),
            *argv[1:],
            cwd=cwd,
            env=dict(environment),
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.STDOUT,
            **spawn_options(),
        )
    except OSError as error:
        raise CommandFailedError(
            f"{argv[0]} cannot be started",
            happened=f"The system refused to start {program}.",
            unchanged="The command was not started.",
            remedy="Look at what the system says below.",
            details=str(error),
        ) from error
    process = RunningProcess(argv, transport, output, on_line)
    try:
        yield process
    finally:
        await process.stop()


async def run_command(
    argv: Sequence[str],
    *,
    cwd: Path,
    environment: Mapping[str, str],
    timeout: float,
    on_line: Callable[[str], None] | None = None,
) -> Finished:
    """Run a program to its end and return how it ended; a non-zero exit code is not raised here.

    Cancelled or out of time, the program and everything it started are ended first.

    Raises:
        CommandFailedError: it was not found, could not be started, or took longer than ``timeout`` seconds.
    """
    async with start_process(argv, cwd=cwd, environment=environment, on_line=on_line) as process:
        try:
            async with asyncio.timeout(timeout):
                exit_code = await process.wait()
        except TimeoutError as error:
            raise CommandFailedError(
                f"{argv[0]} took too long",
                happened=f"`{' '.join(argv)}` was still running after {timeout:g} s and was ended.",
                unchanged="Nothing beyond what the command itself did.",
                remedy="See what it was waiting for, or give it more time in the plan, and try again.",
                details="\n".join(process.tail[-30:]),
            ) from error
        return Finished(tuple(argv), exit_code, process.seconds, process.tail)
