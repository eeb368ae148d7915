"""What keeps changing the source of a sample world: the apps' own workers, running somewhere else."""

from __future__ import annotations

import asyncio
import os
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path

from tekup_migrate.rehearsal.world import World

_GRACE_SECONDS = 5
_ROOT = str(Path(__file__).resolve().parents[2])


@dataclass
class Writers:
    """The running workers of a world, as an operator stops and starts them by app id."""

    world: World
    _running: dict[str, asyncio.subprocess.Process] = field(default_factory=dict)

    async def start(self, app: str) -> None:
        """Start an app's worker; does nothing where it has none or it runs already."""
        worker = self.world.apps[app].worker
        if worker is None or app in self._running:
            return
        with (self.world.directory / f"worker-{app}.log").open("ab") as log:
            self._running[app] = await asyncio.create_subprocess_exec(
                sys.executable,
                "-m",
                "tekup_migrate.rehearsal.sample_app",
                "--config",
                str(worker),
                "--worker",
                stdin=asyncio.subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                cwd=self.world.apps[app].repository,
                env={**os.environ, "PYTHONPATH": os.pathsep.join([_ROOT, os.environ.get("PYTHONPATH", "")])},
            )

    async def stop(self, app: str) -> None:
        """Stop an app's worker and wait until its connections are closed; does nothing where none runs."""
        process = self._running.pop(app, None)
        if process is None or process.returncode is not None:
            return
        process.terminate()
        try:
            await asyncio.wait_for(process.wait(), _GRACE_SECONDS)
        except TimeoutError:
            process.kill()
            await process.wait()

    def runs(self, app: str) -> bool:
        """Whether an app's worker runs right now."""
        process = self._running.get(app)
        return process is not None and process.returncode is None


@asynccontextmanager
async def running_writers(world: World) -> AsyncIterator[Writers]:
    """Run every worker of the world for the length of the block."""
    writers = Writers(world)
    try:
        for app in world.apps:
            await writers.start(app)
        yield writers
    finally:
        for app in world.apps:
            await asyncio.shield(writers.stop(app))
