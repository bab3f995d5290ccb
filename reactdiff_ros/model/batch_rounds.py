"""Rounds of plans of a batch, one after another: drawn elsewhere while frames are taken in, timed, and made to fit.

All but the drawing happens in one thread. Time is an argument: seconds of a clock that never goes back.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from reactdiff_ros.model.batch import ListenerBatch, Round
from reactdiff_ros.model.diffusion_listener import DiffusionListener
from reactdiff_ros.model.listener import Listener
from reactdiff_ros.model.plan.planner import Drawn
from reactdiff_ros.model.plan.quality import DEADLINE_S, QualityChoice
from reactdiff_ros.types import Reaction


@dataclass(frozen=True, slots=True)
class Job:
    """A round that is to be drawn."""

    round: Round
    due_s: float
    """Since when its oldest plan is due."""


@dataclass(frozen=True, slots=True)
class Done:
    """A job that was drawn."""

    job: Job
    drawn: Mapping[str, Drawn]
    """Empty where the drawing failed."""
    compute_s: float


class Rounds:
    """Plans of the listeners of a batch, one round at a time.

    `due` gives the next job, unless one is being drawn; `job.round.draw()` may run in another thread; `finished`
    takes what it drew and returns the plans.

    Args:
        choice: of the quality; None: it stays as the listeners' settings say.
        deadline_s: a plan that takes longer, from when it was due, missed its deadline.
    """

    def __init__(self, choice: QualityChoice | None = None, deadline_s: float = DEADLINE_S) -> None:
        self.batch = ListenerBatch()
        self.choice = choice
        self.plans = 0
        """Made so far."""
        self.misses = 0
        """Plans that missed their deadline."""
        self._deadline_s = deadline_s
        self._busy = False
        self._tried: dict[str, float] = {}

    @property
    def busy(self) -> bool:
        """A job is being drawn."""
        return self._busy

    def tried(self) -> list[str]:
        """Listeners that asked in vain while a job was drawn."""
        return list(self._tried)

    def join(self, name: str, listener: Listener) -> None:
        """A listener joins, with the quality in force. Raises ConfigError: it has other networks than the others."""
        self.batch.join(name, listener)
        self._afford()

    def leave(self, name: str) -> None:
        """A listener leaves."""
        self.batch.leave(name)
        self._tried.pop(name, None)

    def due(self, times: Mapping[str, int], now_s: float) -> Job | None:
        """What is to be drawn for these listeners at their `times` (ns); None: nothing, or something is being drawn.

        Those who asked while it was have waited since; ask for them again after `finished`.
        """
        if self._busy:
            self.batch.settle()  # frames are encoded beside the drawing
            for name in times:
                if not self.batch.waits(name):
                    self._tried.setdefault(name, now_s)
            return None
        due = self.batch.ask(times)
        since = {name: self._tried.pop(name, now_s) for name in times}
        if not due:
            return None
        self._busy = True
        return Job(due, min((since[name] for name in (*due.asked, *due.ready)), default=now_s))

    def finished(self, done: Done, now_s: float) -> dict[str, Reaction]:
        """The plans of the job, by listener."""
        self._busy = False
        reactions = self.batch.answer(done.job.round, done.drawn, done.compute_s)
        taken_s = now_s - done.job.due_s
        self.plans += len(reactions)
        if taken_s > self._deadline_s:
            self.misses += len(reactions)
        if self.choice is not None and done.drawn:
            before = self.choice.quality
            drafts = [asked.draft for asked in done.job.round.asked.values()]
            drawn = max(draft.noise.shape[1] for draft in drafts if draft is not None)
            if self.choice.took(now_s, taken_s, drawn) != before:
                self._afford()
        return reactions

    def figures(self) -> dict[str, str]:
        """How it goes, for status and diagnostics."""
        told = {"plans": str(self.plans), "missed_deadlines": str(self.misses)}
        if self.choice is None:
            return {"quality": "fixed", **told}
        quality = self.choice.quality
        return {
            "quality": f"{self.choice.level + 1} of {len(self.choice.rungs)}",
            "quality_steps": str(quality.steps), "quality_candidates": str(quality.candidates),
            "quality_changes": str(self.choice.changes), **told,
        }  # fmt: skip

    def _afford(self) -> None:
        if self.choice is None:
            return
        quality = self.choice.quality
        for member in self.batch.members():
            if isinstance(member, DiffusionListener):
                member.afford(quality.steps, quality.candidates)
