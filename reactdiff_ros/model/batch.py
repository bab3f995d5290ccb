"""Many listeners on the same networks: each with its own speaker, past, seed and style, computed together.

Whoever has something to compute now is computed in one batch: frames that wait are encoded together, plans that are
due are drawn together. Nobody waits for others, and nothing of one listener reaches another: a reaction is the one
that the same listener would show alone, but for the rounding of a batch of another size (about 1e-6).
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from reactdiff_ros.coefficients import COEFFICIENT_COUNT
from reactdiff_ros.errors import ConfigError, ReactdiffError
from reactdiff_ros.model.conditions import CONTROL_COUNT, CONTROL_NAMES
from reactdiff_ros.model.diffusion_listener import Asked, DiffusionListener
from reactdiff_ros.model.listener import Listener
from reactdiff_ros.model.plan.planner import AROUND, Draft, Drawn, draw_draft, live_frames
from reactdiff_ros.model.plan.sampler import Conditions, Sampling, guided, joined, ordinary
from reactdiff_ros.model.runtime import KeyCache, Networks
from reactdiff_ros.model.speaker.grid import SpeakerGrid
from reactdiff_ros.types import FloatArray, Reaction, SpeakerFrame

MOST: Final = 64
"""Listeners in one call of the networks; more are computed in several."""


@dataclass(frozen=True, slots=True)
class Round:
    """What is due at one time."""

    asked: dict[str, Asked] = field(default_factory=dict)
    """To be drawn, by listener."""
    networks: Networks | None = None
    """That draw them."""
    ready: dict[str, Reaction] = field(default_factory=dict)
    """Plans of listeners that need no networks."""
    failed: dict[str, Exception] = field(default_factory=dict)
    """Listeners that raised, and what."""

    def __bool__(self) -> bool:
        return bool(self.asked or self.ready or self.failed)

    @property
    def draws(self) -> bool:
        """Something is to be drawn."""
        return any(asked.draft is not None for asked in self.asked.values())

    def draw(self) -> dict[str, Drawn]:
        """Draw what was asked. Pure: may run in any thread, while the listeners go on observing."""
        wanted = {name: asked.draft for name, asked in self.asked.items() if asked.draft is not None}
        if self.networks is None or not wanted:
            return {}
        return dict(zip(wanted, draw_together(self.networks, list(wanted.values())), strict=True))


class ListenerBatch:
    """Listeners by name, which join and leave at any time.

    Call `observe` with frames, `ask` for what is due, `Round.draw` (anywhere), and `answer` with what was drawn; or
    `plan`, which does the last three. Listeners without networks (rules, mime ...) may be among them.
    """

    def __init__(self) -> None:
        self._members: dict[str, Listener] = {}
        self._waiting: dict[str, Asked] = {}

    def __len__(self) -> int:
        return len(self._members)

    def __iter__(self) -> Iterator[str]:
        return iter(self._members)

    def __contains__(self, name: str) -> bool:
        return name in self._members

    def members(self) -> list[Listener]:
        """All of them."""
        return list(self._members.values())

    def waits(self, name: str) -> bool:
        """A plan of this listener is being drawn."""
        return name in self._waiting

    def join(self, name: str, listener: Listener) -> None:
        """A listener joins, or takes the place of the one of that name.

        Raises:
            ConfigError: its networks are others than those of the listeners that are there.
        """
        if isinstance(listener, DiffusionListener):
            others = [m for n, m in self._members.items() if n != name and isinstance(m, DiffusionListener)]
            if any(m.networks is not listener.networks for m in others):
                raise ConfigError("listeners of one batch share their networks", where=name)
        self.leave(name)
        self._members[name] = listener

    def leave(self, name: str) -> None:
        """A listener leaves; what is being drawn for it is dropped."""
        self._members.pop(name, None)
        self._waiting.pop(name, None)

    def observe(self, name: str, frame: SpeakerFrame) -> None:
        """A frame for a listener; it is encoded with those of others at the next `ask`.

        Raises:
            MessageError: the frame is malformed, and was dropped.
        """
        self._members[name].observe(frame)

    def settle(self) -> None:
        """Encode what waits."""
        encode_together([m.grid for m in self._members.values() if isinstance(m, DiffusionListener)])

    def ask(self, times: Mapping[str, int]) -> Round:
        """What is due for these listeners at their `times` (ns); one whose plan is being drawn is not asked again."""
        asked: dict[str, Asked] = {}
        ready: dict[str, Reaction] = {}
        failed: dict[str, Exception] = {}
        drawing: dict[str, tuple[DiffusionListener, tuple[int, str]]] = {}
        for name, now_ns in times.items():
            member = self._members.get(name)
            if member is None or name in self._waiting:
                continue
            try:
                if isinstance(member, DiffusionListener):
                    due = member.due(now_ns)
                    if due is not None:
                        drawing[name] = member, due
                else:
                    reaction = member.plan(now_ns)
                    if reaction is not None:
                        ready[name] = reaction
            except Exception as error:  # one listener's trouble is not that of the others
                failed[name] = error
        if drawing:
            self.settle()
        networks = None
        for name, (drawer, due) in drawing.items():
            try:
                asked[name], networks = drawer.ask(*due), drawer.networks
            except Exception as error:
                failed[name] = error
        self._waiting.update(asked)
        return Round(asked, networks, ready, failed)

    def answer(self, done: Round, drawn: Mapping[str, Drawn], compute_s: float) -> dict[str, Reaction]:
        """The plans of a round by listener. Those who have left or began anew meanwhile have none.

        Args:
            done: of `ask`.
            drawn: of `done.draw()`; empty if that failed, then there are no plans, and they are asked again.
            compute_s: how long the drawing took for all.
        """
        reactions = dict(done.ready)
        for name, asked in done.asked.items():
            member = self._members.get(name)
            mine = self._waiting.get(name) is asked
            if mine:
                del self._waiting[name]
            lost = asked.draft is not None and name not in drawn
            if mine and not lost and isinstance(member, DiffusionListener) and member.follows(asked):
                reactions[name] = member.answer(asked, drawn.get(name), compute_s)
        return reactions

    def plan(self, times: Mapping[str, int]) -> dict[str, Reaction]:
        """The plans that are due for these listeners at their `times` (ns).

        Raises:
            ReactdiffError: the first error of a listener.
        """
        due = self.ask(times)
        for error in due.failed.values():
            raise error if isinstance(error, ReactdiffError) else RuntimeError(str(error)) from error
        return self.answer(due, due.draw(), 0.0)


class _Stacked(KeyCache):
    """The caches of several speakers who look at equally many frames, as one."""

    def __init__(self, pasts: Sequence[tuple[FloatArray, FloatArray]]) -> None:
        self._both = np.concatenate([cache for cache, _ in pasts]), pasts[0][1]

    def past(self) -> tuple[FloatArray, FloatArray]:
        """See `KeyCache.past`."""
        return self._both


def encode_together(grids: Sequence[SpeakerGrid]) -> None:
    """Settle what is staged in these grids, in as few calls of the encoder as possible: the oldest slots of all first.

    Speakers who came less than some 8 s ago look at fewer frames, which the encoder is told by one mask for all: they
    are encoded with those alone who came at the same time.
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
                _Stacked([past for _, past in part]),
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
    """Drafts of one kind go into one call; guidance, which needs two evaluations, is taken by whoever has it alone."""
    strength = guided(draft.conditions, draft.how)
    how = replace(draft.how, hop=1, lead=0, candidates=1)
    choice = draft.ranks is not None and ("among all" if draft.everyone else "of one")
    return how, draft.noise.shape[1:], choice, bool((strength != 1.0).any())


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
    ranks = None if drafts[0].ranks is None else together("ranks")
    all_drawn = draw_draft(networks, replace(
        drafts[0], conditions=joined([d.conditions for d in drafts]).take(rows), lead=leads[rows], streams=[],
        speaker=together("speaker"), missing=together("missing"), past=together("past"), noise=together("noise"),
        shown=together("shown"), before=together("before"), ranks=ranks,
    ))  # fmt: skip
    ends = np.cumsum(sizes)
    return [_cut(all_drawn, slice(end - size, end)) for end, size in zip(ends, sizes, strict=True)]


def _cut(drawn: Drawn, rows: slice) -> Drawn:
    chosen = None if drawn.chosen is None else drawn.chosen[rows]
    return Drawn(drawn.latents[rows], drawn.faces[rows], drawn.shown[rows], chosen)


def warm(networks: Networks, how: Sampling, listeners: int) -> None:
    """Draw nothing of use in every size of batch that up to `listeners` listeners need, so that no plan waits later.

    With guidance too, which an eager listener has, and everybody who greets. Every step is prepared by the first.
    """
    how = replace(how, steps=1)
    eager = np.zeros((1, CONTROL_COUNT), dtype=np.float32)
    eager[:, CONTROL_NAMES.index("responsiveness")] = 1.0
    sizes = sorted({padded(n) for n in range(1, min(listeners, MOST) + 1)})
    for count, candidates in itertools.product(sizes, sorted({1, how.candidates})):
        for controls in (None, eager):
            told = ordinary(count, None if controls is None else np.repeat(controls, count, axis=0))
            _draw_alike(networks, [_blank(networks, how, told, candidates)])


def _blank(networks: Networks, how: Sampling, conditions: Conditions, candidates: int) -> Draft:
    """A draft about nobody."""
    s, count = networks.shape, len(conditions)
    frames = live_frames(how, s["horizon"])

    def zeros(*shape: int) -> FloatArray:
        return np.zeros((count, *shape), dtype=np.float32)

    return Draft(
        slot=0, how=how, speaker=zeros(s["speech"], s["width"]), missing=zeros(s["speech"]) + 1, conditions=conditions,
        lead=1, past=zeros(s["past"], s["latent"]) + networks.neutral,
        noise=zeros(candidates, frames, s["latent"]), shown=zeros(AROUND, COEFFICIENT_COUNT),
        before=zeros(frames, COEFFICIENT_COUNT), streams=[list(range(candidates))] * count,
        ranks=np.zeros(count) if candidates > 1 else None, everyone=False,
    )  # fmt: skip
