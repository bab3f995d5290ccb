"""A long run, whatever runs: how long it is, who is told of it, and its journal, with which it goes on."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from reactdiff_ros.evaluation.soak.journal import Journal, Leg, Minute, journal, read_journal


@dataclass(frozen=True)
class LongRun:
    """What is wanted.

    Args:
        path: of the journal.
        seconds: of the whole run, all legs together, in its own time.
        every_s: after how long a minute is written down, in the same time.
        begun: what the journal should tell about this leg.
        told: is given the share that is done.
        say: is told what a user should know.
        stopped: is asked often; True ends the leg.
    """

    path: Path
    seconds: float
    every_s: float = 60.0
    begun: Mapping[str, Any] = field(default_factory=dict)
    told: Callable[[float], None] = lambda share: None
    say: Callable[[str], None] = lambda sentence: None
    stopped: Callable[[], bool] = lambda: False

    def go_on(self, work: Callable[[OpenLeg], None]) -> bool:
        """One more leg, until the journal holds the whole run; none where it does so.

        Args:
            work: adds minutes to the leg until it is complete, or returns before because it was stopped.

        Returns:
            Whether the run is complete.

        Raises:
            MediaError: the file is no journal.
            ReactdiffError: the journal cannot be written.
            Exception: what `work` raises; the journal tells of it.
        """
        before = read_journal(self.path)
        if sum(leg.seconds for leg in before) >= self.seconds:
            return True
        with journal(self.path, self.begun) as writer:
            leg = OpenLeg(self, before, writer)
            work(leg)
            writer.end("done" if leg.complete else "stopped")
        return leg.complete


class OpenLeg:
    """The leg that is being written, after those `before` it."""

    def __init__(self, run: LongRun, before: Sequence[Leg], writer: Journal) -> None:
        self._run, self._writer = run, writer
        self.before = before
        self.done_s = sum(leg.seconds for leg in before)
        """Of the whole run, as far as it is written down."""

    @property
    def complete(self) -> bool:
        """The whole run is written down."""
        return self.done_s >= self._run.seconds

    def add(self, minute: Minute) -> None:
        """Write a minute down. Raises ReactdiffError when it cannot be written; the lines before it stay."""
        self._writer.add(minute)
        self.done_s += float(minute["seconds"])

    def tell(self, seconds: float) -> None:
        """Tell how much is done, with so many seconds since the last minute that was written down."""
        self._run.told((self.done_s + seconds) / self._run.seconds)
