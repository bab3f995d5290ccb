"""Many listeners on the same networks: each with its own speaker, past, seed and style, computed together.

Whatever is to be computed now is computed in one batch: frames that wait are encoded together, plans that are due are
drawn together. No listener waits for others, and nothing of one listener reaches another: a reaction is the one that
the same listener would show alone, but for the rounding of a batch of another size (about 1e-6).
"""

from __future__ import annotations

import itertools
from collections import deque
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, fields, replace
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from reactdiff_ros.errors import ConfigError
from reactdiff_ros.model.backends.runtime import Networks
from reactdiff_ros.model.diffusion.sampler import Sampling, joined, ordinary
from reactdiff_ros.model.diffusion_listener import DiffusionListener, PlanRequest
from reactdiff_ros.model.listener import Listener
from reactdiff_ros.model.plan.planner import Draft, Drawn, blank_draft, draw_plan, live_frames
from reactdiff_ros.model.speaker.grid import SpeakerGrid
from reactdiff_ros.types import Reaction, SpeakerFrame

MOST: Final = 64
"""Listeners in one call of the networks; more are computed in several."""
_STACKED: Final = ("speaker", "missing", "sides", "broad", "past", "memory", "noise", "last", "before", "dip")
"""Arrays of a draft that lead with its listeners."""
DEADLINE_S: Final = 0.04
"""A plan is ready within one slot of the 25 Hz grid."""
FULL: Final = 0.8
"""Share of the deadline above which the quality goes down."""
ROOM: Final = 0.5
"""Share of the deadline that a better quality may need."""
WINDOW_S: Final = 2.0
"""Rounds of this long a time are looked at."""
SETTLE_S: Final = 0.5
"""The effect of a change is seen after this time."""
QUIET_S: Final = 10.0
MAX_QUIET_S: Final = 320.0
"""How long all must have been well before the quality goes up: at first, and at most after failures."""
PROVEN_S: Final = 60.0
"""A quality that lasted this long is no failure when it has to be given up later."""
MIN_ROUNDS: Final = 4
CANDIDATE_SHARE: Final = 0.35
"""What each candidate more than the first costs of the first one's time, at most: they are drawn in one batch."""
_STEPS: Final = (6, 4, 3, 2)


@dataclass(frozen=True, slots=True)
class Round:
    """What is due at one time."""

    due_s: float
    """Since when its oldest plan is due."""
    requests: dict[str, PlanRequest] = field(default_factory=dict)
    """Plans to draw, by listener."""
    networks: Networks | None = None
    """That draw them."""
    ready: dict[str, Reaction] = field(default_factory=dict)
    """Plans of listeners that need no networks."""
    failed: dict[str, Exception] = field(default_factory=dict)
    """Listeners that raised, and what."""

    @property
    def draws(self) -> bool:
        """Something is to be drawn."""
        return any(request.draft is not None for request in self.requests.values())

    def draw(self) -> dict[str, Drawn]:
        """Draw the plans. Pure: may run in any thread, while the listeners go on observing."""
        drafts = {name: request.draft for name, request in self.requests.items() if request.draft is not None}
        if self.networks is None or not drafts:
            return {}
        return dict(zip(drafts, draw_together(self.networks, list(drafts.values())), strict=True))


class ListenerBatch:
    """Listeners by name, which join and leave at any time; their plans are drawn one round at a time.

    Call `observe` with frames; `due` returns the next round, unless one is being drawn; `Round.draw` may run in another
    thread; `finished` takes what it drew and returns the plans. Listeners without networks (rules, mime ...) may be
    among them. Everything but the drawing happens in one thread. Time is an argument: seconds of a clock that never
    goes back.

    Args:
        choice: of the quality; None: it stays as the listeners' settings say.
    """

    def __init__(self, choice: QualityChoice | None = None) -> None:
        self.choice = choice
        self.plans = 0
        """Made so far."""
        self.misses = 0
        """Plans that were ready more than DEADLINE_S after they were due."""
        self._members: dict[str, Listener] = {}
        self._drawing: Round | None = None
        self._tried: dict[str, float] = {}

    def __len__(self) -> int:
        return len(self._members)

    def __contains__(self, name: str) -> bool:
        return name in self._members

    def members(self) -> list[Listener]:
        """All of them."""
        return list(self._members.values())

    @property
    def busy(self) -> bool:
        """A round is being drawn."""
        return self._drawing is not None

    def tried(self) -> list[str]:
        """Listeners that asked in vain while a round was drawn."""
        return list(self._tried)

    def join(self, name: str, listener: Listener) -> None:
        """A listener joins with the quality in force, or takes the place of the one of that name.

        Raises:
            ConfigError: its networks are others than those of the listeners that are there.
        """
        if isinstance(listener, DiffusionListener):
            others = [m for n, m in self._members.items() if n != name and isinstance(m, DiffusionListener)]
            if any(m.networks is not listener.networks for m in others):
                raise ConfigError("listeners of one batch share their networks", where=name)
        self._members[name] = listener
        self._set_quality()

    def leave(self, name: str) -> None:
        """A listener leaves; what is being drawn for it is dropped."""
        self._members.pop(name, None)
        self._tried.pop(name, None)

    def observe(self, name: str, frame: SpeakerFrame) -> None:
        """A frame for a listener; it is encoded with those of others when plans are due.

        Raises:
            MessageError: the frame is malformed, and was dropped.
        """
        self._members[name].observe(frame)

    def due(self, times: Mapping[str, int], now_s: float) -> Round | None:
        """What is due for these listeners at their `times` (ns); None: nothing, or a round is being drawn.

        Listeners that ask while a round is drawn have waited since; ask for them again after `finished`.
        """
        if self._drawing is not None:
            self._encode()  # frames are encoded during the drawing
            for name in times:
                if name not in self._drawing.requests:
                    self._tried.setdefault(name, now_s)
            return None
        since = {name: self._tried.pop(name, now_s) for name in times}
        due = Round(now_s)
        drawing: dict[str, tuple[DiffusionListener, tuple[int, str]]] = {}
        for name, now_ns in times.items():
            member = self._members.get(name)
            try:
                if isinstance(member, DiffusionListener):
                    if (slot := member.due(now_ns)) is not None:
                        drawing[name] = member, slot
                elif member is not None and (reaction := member.plan(now_ns)) is not None:
                    due.ready[name] = reaction
            except Exception as error:  # a fault of one listener is not that of the others
                due.failed[name] = error
        if drawing:
            self._encode()
        networks = None
        for name, (drawer, slot) in drawing.items():
            try:
                due.requests[name], networks = drawer.request(*slot), drawer.networks
            except Exception as error:
                due.failed[name] = error
        if not (due.requests or due.ready or due.failed):
            return None
        oldest_s = min((since[name] for name in (*due.requests, *due.ready)), default=now_s)
        self._drawing = replace(due, due_s=oldest_s, networks=networks)
        return self._drawing

    def finished(self, drawn: Mapping[str, Drawn], compute_s: float, now_s: float) -> dict[str, Reaction]:
        """The plans of the round by listener. Those that have left or were reset meanwhile have none.

        Args:
            drawn: of `Round.draw`; empty if that failed, then there are no plans of networks.
            compute_s: how long the drawing took for all.
            now_s: when it ended.
        """
        done, self._drawing = self._drawing, None
        if done is None:
            return {}
        reactions = dict(done.ready)
        for name, request in done.requests.items():
            member = self._members.get(name)
            lost = request.draft is not None and name not in drawn
            if not lost and isinstance(member, DiffusionListener) and member.follows(request):
                reactions[name] = member.answer(request, drawn.get(name), compute_s)
        seconds = now_s - done.due_s
        self.plans += len(reactions)
        if seconds > DEADLINE_S:
            self.misses += len(reactions)
        if self.choice is not None and drawn:
            before = self.choice.quality
            drafts = [request.draft for request in done.requests.values()]
            candidates = max(draft.noise.shape[1] for draft in drafts if draft is not None)
            if self.choice.record(now_s, seconds, candidates) != before:
                self._set_quality()
        return reactions

    def figures(self) -> dict[str, str]:
        """Quality, plans and missed deadlines, for status and diagnostics."""
        counts = {"plans": str(self.plans), "missed_deadlines": str(self.misses)}
        if self.choice is None:
            return {"quality": "fixed", **counts}
        quality = self.choice.quality
        return {
            "quality": f"{self.choice.level + 1} of {len(self.choice.rungs)}",
            "quality_steps": str(quality.steps), "quality_candidates": str(quality.candidates),
            "quality_changes": str(self.choice.changes), **counts,
        }  # fmt: skip

    def _encode(self) -> None:
        encode_together([m.grid for m in self._members.values() if isinstance(m, DiffusionListener)])

    def _set_quality(self) -> None:
        if self.choice is None:
            return
        quality = self.choice.quality
        for member in self._members.values():
            if isinstance(member, DiffusionListener):
                member.set_quality(quality.steps, quality.candidates)


def encode_together(grids: Sequence[SpeakerGrid]) -> None:
    """Settle what is staged in these grids, in as few calls of the encoder as possible: the oldest slots of all first.

    Speakers who came less than some 8 s ago look at fewer frames, and one mask holds for a whole call: they are
    encoded with those alone who came at the same time.
    """
    while waiting := [grid for grid in grids if grid.staged]:
        _encode_oldest(waiting)


def _encode_oldest(grids: Sequence[SpeakerGrid]) -> None:
    staged = [(grid, grid.cache.past()) for grid in grids]
    staged.sort(key=lambda item: item[1][1].tobytes())
    for _, group in itertools.groupby(staged, key=lambda item: item[1][1].tobytes()):
        alike = list(group)
        for first in range(0, len(alike), MOST):
            part = alike[first : first + MOST]
            rows = [grid.staged[0] for grid, _ in part]
            tokens, new = part[0][0].networks.encode(
                np.concatenate([row.features for row in rows]),
                np.concatenate([row.observed for row in rows]),
                (np.concatenate([cache for _, (cache, _) in part]), part[0][1][1]),
            )
            for i, (grid, _) in enumerate(part):
                grid.settled(tokens[i : i + 1], new[i : i + 1])


def draw_together(networks: Networks, drafts: Sequence[Draft]) -> list[Drawn]:
    """Draw drafts in as few calls as possible: those with the same numbers of steps, candidates and frames at once."""
    out: list[Drawn | None] = [None] * len(drafts)
    groups: dict[tuple[object, ...], list[int]] = {}
    for i, draft in enumerate(drafts):
        groups.setdefault(_kind(draft), []).append(i)
    for members in groups.values():
        for part in _parts(members, drafts):
            for i, drawn in zip(part, _draw_alike(networks, [drafts[i] for i in part]), strict=True):
                out[i] = drawn
    return [drawn for drawn in out if drawn is not None]


def _kind(draft: Draft) -> tuple[object, ...]:
    """Drafts of one kind go into one call."""
    return replace(draft.how, hop=1, lead=0, candidates=1), draft.noise.shape[1:]


def _parts(members: list[int], drafts: Sequence[Draft]) -> list[list[int]]:
    """Members in parts of at most MOST listeners, where one draft does not have more."""
    parts: list[list[int]] = [[]]
    rows = 0
    for i in members:
        count = len(drafts[i].past)
        if parts[-1] and rows + count > MOST:
            parts.append([])
            rows = 0
        parts[-1].append(i)
        rows += count
    return parts


def padded(count: int) -> int:
    """To how many rows a batch of `count` is filled up: powers of 2, so that few sizes of the graphs are prepared."""
    return 1 << (count - 1).bit_length() if count <= MOST else count


def _draw_alike(networks: Networks, drafts: Sequence[Draft]) -> list[Drawn]:
    sizes = [len(d.past) for d in drafts]
    count = sum(sizes)
    rows = np.minimum(np.arange(padded(count)), count - 1)

    def together(name: str) -> NDArray[Any]:
        parts = [getattr(d, name) for d in drafts]
        return np.asarray((np.concatenate(parts) if len(parts) > 1 else parts[0])[rows])

    leads = np.concatenate([np.broadcast_to(d.lead, size) for d, size in zip(drafts, sizes, strict=True)])
    arrays: dict[str, Any] = {name: together(name) for name in _STACKED}
    conditions = joined([d.conditions for d in drafts]).take(rows)
    all_drawn = draw_plan(networks, replace(drafts[0], conditions=conditions, lead=leads[rows], **arrays))
    ends = np.cumsum(sizes)
    return [_rows(all_drawn, slice(end - size, end)) for end, size in zip(ends, sizes, strict=True)]


def _rows(drawn: Drawn, rows: slice) -> Drawn:
    return Drawn(**{f.name: getattr(drawn, f.name)[rows] for f in fields(Drawn)})


def warm(networks: Networks, how: Sampling, listeners: int) -> None:
    """Draw once in every size of batch that up to `listeners` listeners need, so that no plan waits later; one step
    prepares all.
    """
    how, frames = replace(how, steps=1), live_frames(how, networks.shape["horizon"])
    sizes = sorted({padded(n) for n in range(1, min(listeners, MOST) + 1)})
    for count, candidates in itertools.product(sizes, sorted({1, how.candidates})):
        noise = np.zeros((count, candidates, frames, networks.shape["latent"]), dtype=np.float32)
        _draw_alike(networks, [blank_draft(networks, how, ordinary(count), noise)])


@dataclass(frozen=True, slots=True)
class Quality:
    """How good plans are."""

    steps: int
    candidates: int

    def cost(self, drawn: int) -> float:
        """About how long a plan takes that draws `drawn` of the candidates, relative to others."""
        return self.steps * (1.0 + CANDIDATE_SHARE * (min(drawn, self.candidates) - 1))


def ladder(steps: int, candidates: int) -> tuple[Quality, ...]:
    """Qualities from the best one down: first fewer candidates, which no one sees in a single reaction, then steps."""
    rungs = [Quality(steps, candidates)]
    while rungs[-1].candidates > 1:
        rungs.append(Quality(steps, (rungs[-1].candidates + 1) // 2))
    rungs += [Quality(fewer, 1) for fewer in _STEPS if fewer < steps]
    return tuple(rungs)


class QualityChoice:
    """Which quality plans have now. Time is an argument: seconds of a clock that never goes back.

    A plan that is late is worse than one of fewer candidates or steps. So quality gives way and the deadline does not:
    down at once when plans come late or nearly so, up again only after a quiet time and where the better quality, as
    estimated from the present times, would leave room. After a rise that failed, the quiet time doubles.

    Args:
        steps: of the best quality.
        candidates: of the best quality.
    """

    def __init__(self, steps: int, candidates: int) -> None:
        self.rungs = ladder(steps, candidates)
        self.level = 0
        """0 is the best."""
        self.changes = 0
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
        return self.level == len(self.rungs) - 1 and slow is not None and slow > DEADLINE_S

    def record(self, now_s: float, seconds: float, drawn: int | None = None) -> Quality:
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
        if slow > FULL * DEADLINE_S:
            self._late_s = now_s
            self._lower(now_s)
        elif self.level and self._quiet(now_s):
            better = self.rungs[self.level - 1]
            estimated = self._slow_s(better, all_candidates=True)
            if estimated is not None and estimated <= ROOM * DEADLINE_S:
                self._rose_s = now_s
                self._change(self.level - 1, now_s)
        return self.quality

    def _slow_s(self, quality: Quality, *, all_candidates: bool = False) -> float | None:
        """How long slow rounds take, estimated for `quality`; `all_candidates`: if each had drawn them all.

        The 90th percentile of the window, without its single slowest round: one hiccup says nothing.
        """
        if len(self._rounds) < MIN_ROUNDS:
            return None
        now = self.quality
        ordered = sorted(
            s * quality.cost(quality.candidates if all_candidates else drawn) / now.cost(drawn)
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
        estimated = [(level, self._slow_s(self.rungs[level])) for level in below]
        fits = [level for level, slow in estimated if slow is not None and slow <= FULL * DEADLINE_S]
        self._change(fits[0] if fits else below[-1], now_s)

    def _quiet(self, now_s: float) -> bool:
        since = max(t for t in (self._changed_s, self._late_s) if t is not None)
        return now_s - since >= self._quiet_s

    def _change(self, level: int, now_s: float) -> None:
        self.level = level
        self.changes += 1
        self._changed_s = now_s
        self._rounds.clear()
