"""Plans of N listeners, one after another: drawn, chosen among, led over into each other, remembered.

The one path that the live listener (N = 1) and batched streams share. Shapes as in `sampler`; H frames of a plan.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, Final, TypeVar

import numpy as np
from numpy.typing import NDArray

from reactdiff_ros.coefficients import COEFFICIENT_COUNT, HEAD_PITCH, bounded
from reactdiff_ros.model.plan.choice import Choice, ranked
from reactdiff_ros.model.plan.groups import GROUPS
from reactdiff_ros.model.plan.nods import Nods
from reactdiff_ros.model.plan.noise import NoiseTape
from reactdiff_ros.model.plan.sampler import Conditions, Sampling, draw, faces
from reactdiff_ros.model.runtime import VAE_CONTEXT, Networks
from reactdiff_ros.types import REACTION_RATE_HZ, FloatArray

Array = TypeVar("Array", bound=Any)
_FADE: Final = float(np.exp(-0.04 / 0.2))


AROUND: Final = 3
"""Frames before and after each one that its finish looks at."""


def smooth(frames: Array) -> Array:
    """Take the jitter out, (..., n, C) to (..., n - 6, C).

    Half-band filter of seven frames, maximally flat at 0 and at half the frame rate (Herrmann 1971): nods of 2 Hz keep
    99 %, the bursts of a laugh at 5 Hz 72 %, 6.25 Hz half, what changes from frame to frame nothing.
    """
    ends, around = frames[..., :-6, :] + frames[..., 6:, :], frames[..., 2:-4, :] + frames[..., 4:-2, :]
    smoothed: Array = (16 * frames[..., 3:-3, :] + 9 * around - ends) / 32
    return smoothed


BLEND: Final = (0.2, 0.5, 0.8, 0.95)
"""Share of a new plan in its first frames; the rest is the old plan, which covers the same times."""
LOOKAHEAD: Final = len(BLEND) + AROUND
"""Frames that the finish needs of a plan beyond those that are shown."""
LATE: Final = 8
"""Frames that a live plan has beyond those that are shown, so that the next one may come 0.3 s late."""


def live_frames(how: Sampling, horizon: int) -> int:
    """Frames of a live plan: whole stretches, at most `horizon`."""
    return min(-(-(how.hop + max(LATE, LOOKAHEAD)) // how.block) * how.block, horizon)


def blend(plan: Array, before: Array) -> Array:
    """Lead `before` (..., n, C), what was planned for the same frames, over into `plan` (..., n, C), in place."""
    for i, share in enumerate(BLEND[: plan.shape[-2]]):
        plan[..., i, :] = share * plan[..., i, :] + (1 - share) * before[..., i, :]
    return plan


SMILE_S: Final = 0.2
"""Time constant with which a smile follows its plan: planned ones move faster than people's and break off."""
SMILE_GAIN: Final = 1.14
"""How much larger than planned a smile is shown: the lag takes of its height, and listeners differ too little.

Both were chosen together, see docs/model.md: D_marg in recorded calls is .62 without the lag and .42 with it, the
distance to appropriate reactions of simulated listeners (FRD) is as theirs with the gain and too small without."""
_SMILE: Final = next(list(group.coefficients) for group in GROUPS if group.name == "smile")


def unhurried(plan: FloatArray, last: FloatArray) -> FloatArray:
    """`plan` (..., n, C) through a first-order lag of SMILE_S that goes on from `last` (..., C), the frame before.

    It leads over from one plan to the next by itself.
    """
    share = np.float32(1 - np.exp(-1 / (SMILE_S * REACTION_RATE_HZ)))
    followed = np.empty_like(plan)
    for i in range(plan.shape[-2]):
        last = last + share * (plan[..., i, :] - last)
        followed[..., i, :] = last
    return followed


def finished(plans: FloatArray, shown: FloatArray, before: FloatArray, how: Sampling) -> FloatArray:
    """Plans (N, K, H, 58) as they are shown: bounded; if so wanted, smoothed and led over from the last one, and smiles
    larger and unhurried.

    `shown` (N, AROUND, 58) are the frames before, `before` (N, H, 58) is what was planned so far for the same frames.
    """
    if not how.smooth:
        return bounded(plans)
    # What was shown before, the last one again after: the plan keeps its length.
    left = np.broadcast_to(shown[:, None], (*plans.shape[:2], *shown.shape[1:]))
    plans = bounded(plans)
    padded = np.concatenate([left, plans, *[plans[:, :, -1:]] * AROUND], axis=2)
    led = blend(smooth(padded), before[:, None])
    led[..., _SMILE] = unhurried(SMILE_GAIN * plans[..., _SMILE], left[:, :, -1, _SMILE])
    return bounded(led)


class OwnPast:
    """What N listeners planned and showed, slot by slot: latents, and coefficients as shown; neutral before the first.

    Args:
        neutral: (L,) latent of the neutral face.
        count: number of listeners.
        keep: frames before a plan that stay known.
    """

    def __init__(self, neutral: FloatArray, count: int, keep: int) -> None:
        self._neutral, self._count, self._keep = neutral, count, keep
        self.clear()

    def clear(self) -> None:
        """Nothing shown yet."""
        self._first = 0
        self._latents = np.zeros((self._count, 0, len(self._neutral)), dtype=np.float32)
        self._faces = np.zeros((self._count, 0, COEFFICIENT_COUNT), dtype=np.float32)

    def latents(self, slot: int, count: int) -> FloatArray:
        """Latents (N, count, L) of the slots from `slot` on; neutral where nothing is planned."""
        out = np.broadcast_to(self._neutral, (self._count, count, len(self._neutral))).astype(np.float32)
        at, known = self._known(slot, count)
        out[:, known] = self._latents[:, at[known]]
        return out

    def shown(self, slot: int, count: int) -> FloatArray:
        """Coefficients (N, count, 58) of the slots from `slot` on, fading to neutral after the end of the plan."""
        out = np.zeros((self._count, count, COEFFICIENT_COUNT), dtype=np.float32)
        at, known = self._known(slot, count)
        out[:, known] = self._faces[:, at[known]]
        late = at >= self._latents.shape[1]
        if self._latents.shape[1]:
            fade = _FADE ** (at[late] - self._latents.shape[1] + 1.0)
            out[:, late] = self._faces[:, -1:] * fade[:, None].astype(np.float32)
        return out

    def add(self, slot: int, latents: FloatArray, shown: FloatArray) -> None:
        """A new plan takes over at `slot`: latents (N, H, L) and coefficients as shown (N, H, 58)."""
        first = slot - self._keep
        kept, kept_shown = self.latents(first, self._keep), self.shown(first, self._keep)
        self._latents = np.concatenate([kept, latents], axis=1)
        self._faces = np.concatenate([kept_shown, shown], axis=1)
        self._first = first

    def _known(self, slot: int, count: int) -> tuple[NDArray[np.int64], NDArray[np.bool_]]:
        at = np.arange(count) + (slot - self._first)
        return at, (at >= 0) & (at < self._latents.shape[1])


@dataclass(frozen=True, slots=True)
class Plans:
    """What N listeners plan from one slot on."""

    drawn: FloatArray
    """(N, K, H, 58) the candidates as decoded, before any smoothing and bounds."""
    shown: FloatArray
    """(N, K, H, 58) the candidates as they would be shown."""
    chosen: NDArray[np.int64]
    """(N,) which of them is."""
    streams: list[list[int]]
    """(N) (K) the noise tape of each candidate."""

    def of(self, plans: FloatArray) -> FloatArray:
        """The chosen ones (N, H, 58) of `drawn` or `shown`."""
        chosen: FloatArray = plans[np.arange(len(plans)), self.chosen]
        return chosen


@dataclass(frozen=True, slots=True)
class Draft:
    """A plan that N listeners of one planner are about to draw: all that the networks need, and nothing that changes.

    So drafts of several planners are drawn together, and in another thread than the one that watches the speaker.
    """

    slot: int
    how: Sampling
    speaker: FloatArray
    """(N, speech, D)."""
    missing: FloatArray
    """(N, speech)."""
    conditions: Conditions
    lead: int | NDArray[np.integer[Any]]
    """Of all, or (N,)."""
    past: FloatArray
    """(N, past, L)."""
    noise: FloatArray
    """(N, K, H, L)."""
    shown: FloatArray
    """(N, AROUND, 58) the frames before, as shown."""
    before: FloatArray
    """(N, H, 58) what was planned so far for the same frames."""
    streams: list[list[int]]
    """(N) (K)."""
    ranks: NDArray[np.float64] | None
    """(N,) by which a choice among the candidates is made, see `choice`; None: none is to be made."""
    everyone: bool
    """All candidates are drawn up to their ends, not the chosen ones alone."""


@dataclass(frozen=True, slots=True)
class Drawn:
    """What the networks made of a draft; K = 1 where a choice was made and the others ended there."""

    latents: FloatArray
    """(N, K, H, L)."""
    faces: FloatArray
    """(N, K, H, 58) as decoded."""
    shown: FloatArray
    """(N, K, H, 58) as they would be shown."""
    chosen: NDArray[np.int64] | None
    """(N,) which of the draft's candidates; None: no choice was to be made."""


def draw_draft(networks: Networks, draft: Draft) -> Drawn:
    """Draw and decode one draft. Pure: may run in any thread."""
    d = draft
    latents, chosen = _chosen_latents(networks, d)
    decoded = faces(networks, d.past, latents)
    return Drawn(latents, decoded, finished(decoded, d.shown, d.before, d.how), chosen)


def _chosen_latents(networks: Networks, d: Draft) -> tuple[FloatArray, NDArray[np.int64] | None]:
    """Latents, and the choice: made by the candidates' first stretches, beyond which nobody sees those not chosen."""

    def drawn(past: FloatArray, noise: FloatArray, lead: int | NDArray[np.integer[Any]]) -> FloatArray:
        return draw(networks, d.speaker, d.missing, past, d.conditions, noise, d.how, lead)

    if d.ranks is None:
        return drawn(d.past, d.noise, d.lead), None
    block = d.how.block
    whole = d.everyone or d.noise.shape[2] <= block
    latents = drawn(d.past, d.noise if whole else d.noise[:, :, :block], d.lead)
    chosen = ranked(bounded(faces(networks, d.past, latents[:, :, :block])), d.ranks)
    if whole:
        return latents, chosen
    rows = np.arange(len(latents))
    begun = latents[rows, chosen]
    past = np.concatenate([d.past, begun], axis=1)[:, -d.past.shape[1] :]
    rest = drawn(past, d.noise[rows, chosen][:, None, block:], np.asarray(d.lead) + block)
    return np.concatenate([begun[:, None], rest], axis=2), chosen


class Planner:
    """N listeners that plan at the same times.

    Args:
        networks: the exported graphs.
        seeds: (N,) of their noise.
        how: of the sampling; `how.lead` is not used.
    """

    def __init__(self, networks: Networks, seeds: Sequence[int], how: Sampling) -> None:
        self._networks, self._how = networks, how
        self._tapes = [NoiseTape(seed, networks.shape["latent"]) for seed in seeds]
        self._choices = [Choice(seed, how.candidates) for seed in seeds]
        self._past = OwnPast(networks.neutral, len(self._tapes), networks.shape["past"])
        self._nods = None if networks.nods is None else Nods(networks.nods, seeds)

    def afford(self, steps: int, candidates: int) -> None:
        """Plan with so many steps and candidates from now on."""
        self._how = replace(self._how, steps=steps, candidates=candidates)
        for choice in self._choices:
            choice.candidates = candidates

    def forget(self) -> None:
        """They showed a neutral face up to now; noise and choices go on."""
        self._past.clear()
        if self._nods is not None:
            self._nods.forget()

    def begin(self, slot: int, shown: FloatArray) -> None:
        """They showed `shown` (N, n, 58) up to `slot`, whatever was planned."""
        before = np.repeat(shown[:, :1], VAE_CONTEXT, axis=1)
        latents = self._networks.latents(np.concatenate([before, shown], axis=1).astype(np.float32))
        self._past.add(slot - shown.shape[1], latents, shown)

    def plan(
        self,
        slot: int,
        speaker: FloatArray,
        missing: FloatArray,
        conditions: Conditions,
        *,
        lead: int,
        frames: int,
        everyone: bool = False,
    ) -> Plans:
        """Plans of `frames` frames (rounded up to whole stretches) from `slot` on.

        Args:
            slot: the first frame; must not go back.
            speaker: (N, speech, D) the newest tokens, oldest first.
            missing: (N, speech) 1 where there is no token.
            conditions: of the N listeners.
            lead: frames between the newest token and `slot`, minus one.
            frames: H, at most the horizon.
            everyone: draw all candidates up to their ends, also where the choice is held.
        """
        draft = self.draft(slot, speaker, missing, conditions, lead=lead, frames=frames, everyone=everyone)
        return self.finish(draft, draw_draft(self._networks, draft))

    def draft(
        self,
        slot: int,
        speaker: FloatArray,
        missing: FloatArray,
        conditions: Conditions,
        *,
        lead: int,
        frames: int,
        everyone: bool = False,
    ) -> Draft:
        """What `plan` is about to draw; the next draft comes after `finish` of this one."""
        s, how = self._networks.shape, self._how
        length = min(-(-frames // how.block) * how.block, s["horizon"])
        due = self._choices[0].due(slot)
        ranks = np.array([choice.rank for choice in self._choices]) if due else None
        streams = [_streams(choice.stream, how.candidates, due, everyone) for choice in self._choices]
        return Draft(
            slot=slot, how=how, speaker=speaker, missing=missing, conditions=conditions, lead=lead,
            past=self._past.latents(slot - s["past"], s["past"]),
            noise=np.stack([_noise(tape, slot, length, of) for tape, of in zip(self._tapes, streams, strict=True)]),
            shown=self._past.shown(slot - AROUND, AROUND), before=self._past.shown(slot, length), streams=streams,
            ranks=ranks, everyone=everyone,
        )  # fmt: skip

    def finish(self, draft: Draft, drawn: Drawn) -> Plans:
        """Take what was drawn of a draft, and remember it."""
        slot, shown, streams = draft.slot, drawn.shown, draft.streams
        if drawn.chosen is not None:
            for choice, of, which in zip(self._choices, streams, drawn.chosen, strict=True):
                choice.follow(slot, of[which])
            if shown.shape[1] == 1:
                streams = [[choice.stream] for choice in self._choices]
        chosen = np.array([of.index(choice.stream) for choice, of in zip(self._choices, streams, strict=True)])
        plans = Plans(drawn.faces, shown, chosen, streams)
        self._past.add(slot, drawn.latents[np.arange(len(shown)), chosen], plans.of(shown))
        return plans if self._nods is None else self._nodding(plans, draft, self._nods)

    def _nodding(self, plans: Plans, draft: Draft, nods: Nods) -> Plans:
        """`plans` with nods, which are no part of the past that networks continue."""
        dip = nods.plan(
            draft.slot, plans.shown.shape[2], self._how.hop, draft.speaker, draft.missing, draft.conditions, draft.lead
        )
        if not dip.any():
            return plans
        bowed = [coefficients.copy() for coefficients in (plans.drawn, plans.shown)]
        for coefficients in bowed:
            coefficients[..., HEAD_PITCH] += dip[:, None]
        return replace(plans, drawn=bowed[0], shown=bounded(bowed[1]))


def _streams(followed: int, candidates: int, due: bool, everyone: bool) -> list[int]:
    """Noise tapes that are drawn: all at a choice, else that of the followed candidate, and the others if wanted."""
    if due:
        return list(range(candidates))
    if not everyone:
        return [followed]
    # Chosen while there were more candidates: it keeps the last one's place.
    return [*range(candidates)] if followed < candidates else [*range(candidates - 1), followed]


def _noise(tape: NoiseTape, slot: int, length: int, streams: list[int]) -> FloatArray:
    return np.stack([tape.frames(slot, length, stream) for stream in streams])
