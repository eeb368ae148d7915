"""Measures how fast something goes from counts that arrive now and then."""

from __future__ import annotations

from collections import deque

_WINDOW = 10.0
_BUCKETS = 12
_LEAST_SPAN = 0.5


class Meter:
    """Rate and time left of one running count, over the last ten seconds."""

    def __init__(self) -> None:
        self._samples: deque[tuple[float, float]] = deque(maxlen=600)

    def take(self, now: float, done: float) -> None:
        """Note that ``done`` units were finished at ``now`` (monotonic seconds)."""
        if self._samples and done < self._samples[-1][1]:
            self._samples.clear()
        self._samples.append((now, done))
        while len(self._samples) > 2 and self._samples[1][0] < now - _WINDOW:
            self._samples.popleft()

    @property
    def rate(self) -> float:
        """Units a second, 0 while there is too little to tell."""
        if len(self._samples) < 2:
            return 0.0
        (first, before), (last, after) = self._samples[0], self._samples[-1]
        return (after - before) / (last - first) if last - first >= _LEAST_SPAN else 0.0

    def left(self, total: float) -> float | None:
        """Seconds until ``total`` is reached at this rate, or None where that cannot be told."""
        if not self.rate or not total:
            return None
        return max(0.0, total - self._samples[-1][1]) / self.rate

    def shape(self) -> tuple[float, ...]:
        """The rate over the window in twelve equal stretches, for a sparkline."""
        if len(self._samples) < 2:
            return ()
        start, span = self._samples[0][0], self._samples[-1][0] - self._samples[0][0]
        buckets = [0.0] * _BUCKETS
        previous = self._samples[0][1]
        for at, done in list(self._samples)[1:]:
            place = int((at - start) / span * _BUCKETS) if span else 0
            buckets[min(_BUCKETS - 1, place)] += done - previous
            previous = done
        return tuple(buckets)
