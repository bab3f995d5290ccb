"""How good plans may be on this machine: numbers of steps and candidates, chosen from measured time.

A plan that is late is worse than one of fewer candidates or steps. So quality gives way and the deadline does not:
down at once when plans come late or nearly so, up again only after a quiet time and where the better quality, as
reckoned from the present times, would leave room. Whoever had to come down again soon waits twice as long.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass
from typing import Final

DEADLINE_S: Final = 0.04
"""A plan is ready within one slot of the 25 Hz grid."""
FULL: Final = 0.8
"""Share of the deadline above which the quality goes down."""
ROOM: Final = 0.5
"""Share of the deadline that a better quality may need."""
WINDOW_S: Final = 2.0
"""Rounds of so long are looked at."""
SETTLE_S: Final = 0.5
"""So long after a change its effect is seen."""
QUIET_S: Final = 10.0
MAX_QUIET_S: Final = 320.0
"""How long all must have been well before the quality goes up: at first, and at most after failures."""
PROVEN_S: Final = 60.0
"""A quality that lasted so long is no failure when it has to be given up later."""
MIN_ROUNDS: Final = 4
CANDIDATE_SHARE: Final = 0.35
"""What each candidate more than the first costs of the first one's time, at most: they are drawn in one batch. Where
none is published it is a fourth of this, for only the chosen one is drawn beyond its beginning."""
_STEPS: Final = (6, 4, 3, 2)


@dataclass(frozen=True, slots=True)
class Quality:
    """Of plans."""

    steps: int
    candidates: int

    @property
    def cost(self) -> float:
        """About how long a plan takes at which all candidates are drawn, relative to others."""
        return self.cost_of(self.candidates)

    def cost_of(self, drawn: int) -> float:
        """The same with `drawn` candidates, where the choice is held."""
        return self.steps * (1.0 + CANDIDATE_SHARE * (min(drawn, self.candidates) - 1))


def ladder(steps: int, candidates: int) -> tuple[Quality, ...]:
    """Qualities from the best one down: first fewer candidates, which nobody sees in a single reaction, then steps."""
    rungs = [Quality(steps, candidates)]
    while rungs[-1].candidates > 1:
        rungs.append(Quality(steps, (rungs[-1].candidates + 1) // 2))
    rungs += [Quality(fewer, 1) for fewer in _STEPS if fewer < steps]
    return tuple(rungs)


class QualityChoice:
    """Which quality plans have now. Time is an argument: seconds of a clock that never goes back.

    Args:
        steps: of the best quality.
        candidates: of the best quality.
        deadline_s: within which a round of plans must be ready after it was due.
    """

    def __init__(self, steps: int, candidates: int, deadline_s: float = DEADLINE_S) -> None:
        self.rungs = ladder(steps, candidates)
        self.level = 0
        """0 is the best."""
        self.changes = 0
        self._deadline_s = deadline_s
        self._rounds: deque[tuple[float, float, int]] = deque(maxlen=512)
        self._changed_s: float | None = None
        self._late_s: float | None = None
        self._quiet_s = QUIET_S
        self._rose_s: float | None = None

    @property
    def quality(self) -> Quality:
        """In force."""
        return self.rungs[self.level]

    @property
    def exhausted(self) -> bool:
        """The lowest quality is in force and still too slow."""
        slow = self._slow_s(self.quality)
        return self.level == len(self.rungs) - 1 and slow is not None and slow > self._deadline_s

    def took(self, now_s: float, seconds: float, drawn: int | None = None) -> Quality:
        """A round was ready at `now_s`, `seconds` after it was due. The quality from now on.

        `drawn`: candidates that were drawn in it, at most; None: those of the quality.
        """
        if self._changed_s is None:
            self._changed_s = now_s
        if now_s - self._changed_s >= SETTLE_S:
            self._rounds.append((now_s, seconds, drawn or self.quality.candidates))
        while self._rounds and self._rounds[0][0] < now_s - WINDOW_S:
            self._rounds.popleft()
        slow = self._slow_s(self.quality)
        if slow is None:
            return self.quality
        if slow > FULL * self._deadline_s:
            self._late_s = now_s
            self._lower(now_s)
        elif self.level and self._quiet(now_s):
            better = self.rungs[self.level - 1]
            reckoned = self._slow_s(better, choosing=True)
            if reckoned is not None and reckoned <= ROOM * self._deadline_s:
                self._rose_s = now_s
                self._change(self.level - 1, now_s)
        return self.quality

    def _slow_s(self, quality: Quality, *, choosing: bool = False) -> float | None:
        """How long slow rounds take, reckoned for `quality`; `choosing`: if all of them drew all candidates.

        The 90th percentile of the window, without its single slowest round: one hiccup says nothing.
        """
        if len(self._rounds) < MIN_ROUNDS:
            return None
        now = self.quality
        ordered = sorted(
            s * (quality.cost if choosing else quality.cost_of(drawn)) / now.cost_of(drawn)
            for _, s, drawn in self._rounds
        )
        return ordered[min(int(0.9 * len(ordered)), len(ordered) - 2)]

    def _lower(self, now_s: float) -> None:
        if self.level == len(self.rungs) - 1:
            return
        if self._rose_s is not None:
            failed = now_s - self._rose_s < PROVEN_S
            self._quiet_s = min(2 * self._quiet_s, MAX_QUIET_S) if failed else QUIET_S
        self._rose_s = None
        below = range(self.level + 1, len(self.rungs))
        reckoned = [(level, self._slow_s(self.rungs[level])) for level in below]
        fits = [level for level, slow in reckoned if slow is not None and slow <= FULL * self._deadline_s]
        self._change(fits[0] if fits else below[-1], now_s)

    def _quiet(self, now_s: float) -> bool:
        since = max(t for t in (self._changed_s, self._late_s) if t is not None)
        return now_s - since >= self._quiet_s

    def _change(self, level: int, now_s: float) -> None:
        self.level = level
        self.changes += 1
        self._changed_s = now_s
        self._rounds.clear()
