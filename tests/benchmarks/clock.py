"""What a contender cost: seconds on the clock, and seconds of the processors, which other programs' load moves less."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import psutil


@dataclass
class Cost:
    """What one contender cost.

    Attributes:
        seconds: on the clock.
        processor: seconds of user and system time, of each server in turn and then of the clients.
        sent: bytes read from the source, 0 where nobody counts them.
    """

    seconds: float = 0.0
    processor: tuple[float, ...] = ()
    sent: int = 0


@dataclass
class Costs:
    """Every contender's costs, one a round."""

    clusters: Sequence[Path]
    found: dict[str, list[Cost]] = field(default_factory=dict)

    @contextmanager
    def of(self, name: str) -> Iterator[Cost]:
        """Measure the block; it fills in ``sent``, and waits for every child that it starts."""
        cost = Cost()
        before, began = self._processor(), time.monotonic()
        yield cost
        cost.seconds = time.monotonic() - began
        cost.processor = tuple(now - then for now, then in zip(self._processor(), before, strict=True))
        self.found.setdefault(name, []).append(cost)

    def _processor(self) -> tuple[float, ...]:
        clients = psutil.Process().cpu_times()
        return *map(_server_seconds, self.clusters), clients.children_user + clients.children_system


def _server_seconds(cluster: Path) -> float:
    """Return the processor time of a server and its children, the ended ones too."""
    server = psutil.Process(int((cluster / "postmaster.pid").read_text().split()[0]))
    total = 0.0
    for process in (server, *server.children(recursive=True)):
        try:
            times = process.cpu_times()
        except psutil.NoSuchProcess:
            continue
        total += times.user + times.system + times.children_user + times.children_system
    return total
