"""Why a listener reacts as it does: its last plans, drawn again without one cue of what it saw and heard.

A cue's effect is the plan minus the plan without it: from the same noise and conditions, each going on from its own
past since REPEAT_S ago, so what differs is due to the cue alone. A hidden cue is unobserved, as a missing camera or
microphone is, for which the networks are trained. Attention weights are not shown: they say where a network looks, not
what it makes of it (Jain and Wallace 2019, "Attention is not explanation").
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Final, Protocol

import numpy as np
from numpy.typing import NDArray

from reactdiff_ros.coefficients import SMILE, brows_raised
from reactdiff_ros.model.backends.runtime import Networks
from reactdiff_ros.model.diffusion.tokens import STREAM_COUNT, STREAMS
from reactdiff_ros.model.plan.corrections import SHARPNESS, answered, nod_conditions
from reactdiff_ros.model.plan.planner import Draft, OwnPast, draw_plan
from reactdiff_ros.model.speaker.grid import Staged
from reactdiff_ros.types import REACTION_RATE_HZ, Explanation, FloatArray
from reactdiff_ros.worker import Worker

CUES: Final = {"face": ("expression", "affect"), "head_and_gaze": ("pose_gaze",), "voice": ("mfcc", "prosody")}
"""What is hidden, by the encoder's streams; for CUE_S."""
CUE_S: Final = 4.0
REPEAT_S: Final = 1.0
"""So much of the listener's own last plans is drawn again, so that a smile of the past does not hide what began it."""
MOMENTS_S: Final = ((0.0, 0.5), (0.5, 1.0), (1.0, 2.0), (2.0, 4.0))
"""Ages of what is hidden of all streams."""
PERIOD_S: Final = 1.0
SHARE: Final = 0.2


@dataclass(frozen=True, slots=True)
class Step:
    """One of the plans that are drawn again."""

    draft: Draft
    """With the noise of the candidate that was followed alone, and no choice."""
    answers: NDArray[np.float64]
    """(the plan's frames, 5) see `corrections.Empathy`."""

    @property
    def newest(self) -> int:
        """The newest slot of the speaker that it knew."""
        return int(self.draft.slot - 1 - np.max(self.draft.lead) - self.draft.conditions.late[0])


@dataclass(frozen=True, slots=True)
class Question:
    """Plans that were drawn, and all that drawing them again needs. Nothing in it changes."""

    stamp_ns: int
    """Time of the first frame of the last one."""
    steps: Sequence[Step]
    """Oldest first, at least one."""
    history: Sequence[Staged]
    """What the encoder was given up to now, slot by slot, oldest first."""
    tilt: float
    """See `corrections.answered`."""


class Asked(Protocol):
    """A listener that explains itself."""

    @property
    def networks(self) -> Networks:
        """What it plans with."""

    def question(self) -> Question | None:
        """Its last plans; None: there are none."""


class Explainer:
    """Explains plans in a thread, `worker`, that takes a fifth of a core at most.

    Args:
        take: called in that thread with the name that was asked for and the explanation.
        timer: seconds of a monotonic clock.
        failed: called with what an explanation raised.
    """

    def __init__(
        self, take: Callable[[str, Explanation], None], timer: Callable[[], float],
        failed: Callable[[Exception, str], None],
    ) -> None:  # fmt: skip
        self._take, self._timer = take, timer
        self._from_s = 0.0
        self.worker = Worker("explanation", self._explain, {"": 1}, failed)

    def ask(self, name: str, listener: Asked) -> None:
        """Explain the listener's last plan, unless it is too early. In the listener's thread, after a plan."""
        if self._timer() < self._from_s:
            return
        question = listener.question()
        if question is not None:
            self._from_s = math.inf
            self.worker.put("", (name, listener.networks, question))

    def _explain(self, _kind: str, item: tuple[str, Networks, Question]) -> None:
        name, networks, question = item
        began_s = self._timer()
        try:
            found = explain(networks, question)
        finally:
            took_s = self._timer() - began_s
            self._from_s = began_s + max(PERIOD_S, took_s / SHARE)
        if found is not None:
            self._take(name, found)


def explain(networks: Networks, question: Question) -> Explanation | None:
    """The effects of CUES and MOMENTS_S on the last plan; None where nothing was seen yet. Pure: in any thread."""
    last = question.steps[-1]
    known = [slot for slot in question.history if slot.slot <= last.newest]
    if not known:
        return None
    hidden = _hidden(len(known))
    features = np.concatenate([slot.features for slot in known])[None] * np.repeat(
        1.0 - hidden, [width for _, _, width in STREAMS], axis=-1
    )
    observed = np.concatenate([slot.observed for slot in known])[None] * (1.0 - hidden)
    tokens = networks.encode_sequence(features.astype(np.float32), observed.astype(np.float32))
    faceless = np.array([names == CUES["face"] or span == MOMENTS_S[0] for names, span in _variants()])
    past = OwnPast(networks.neutral, len(hidden), networks.shape["past"])
    past.resume(question.steps[0].draft)
    for step in question.steps:
        heard = tokens[:, : tokens.shape[1] - (last.newest - step.newest)]
        draft = _repeated(step.draft, _heard(heard, networks.ages, step.draft.missing), faceless, past)
        drawn = draw_plan(networks, draft)
        past.add(draft.slot, drawn.latents[:, 0], drawn.still[:, 0])
    plans = drawn.shown[:, 0]
    if "empathy" not in networks.learnt:
        plans = np.where(faceless[:, None, None], plans, answered(plans, last.answers, question.tilt))
    return Explanation(
        stamp_ns=question.stamp_ns,
        cues=("plan", *CUES, *(f"{first:g}-{until:g} s" for first, until in MOMENTS_S)),
        smile=plans[..., list(SMILE)].mean((1, 2)),
        brows=brows_raised(plans).mean(1),
        nods_per_min=_nods(networks, draft),
    )


def _variants() -> list[tuple[tuple[str, ...], tuple[float, float]]]:
    """Streams that are hidden, and at which ages; first none."""
    every = tuple(name for name, _, _ in STREAMS)
    return [((), (0.0, 0.0)), *((names, (0.0, CUE_S)) for names in CUES.values()), *((every, s) for s in MOMENTS_S)]


def _hidden(frames: int) -> FloatArray:
    """(variants, frames, STREAM_COUNT) 1 where it is hidden."""
    variants = _variants()
    hidden = np.zeros((len(variants), frames, STREAM_COUNT), dtype=np.float32)
    age_s = np.arange(frames - 1, -1, -1) / REACTION_RATE_HZ
    for row, (names, (first, last)) in enumerate(variants):
        for stream, (name, _, _) in enumerate(STREAMS):
            if name in names:
                hidden[row, (age_s >= first) & (age_s < last), stream] = 1.0
    return hidden


def _heard(tokens: FloatArray, ages: NDArray[np.int64], missing: FloatArray) -> FloatArray:
    """Tokens (variants, S, D) of those ages; 0 where they are `missing` (1, S)."""
    at = tokens.shape[1] - 1 - ages
    found: FloatArray = tokens[:, np.maximum(at, 0)] * ((at >= 0) & (missing[0] == 0))[None, :, None]
    return found


def _repeated(draft: Draft, speaker: FloatArray, faceless: NDArray[np.bool_], past: OwnPast) -> Draft:
    """The draft of one listener with each of these tokens and their own past; who sees no face sees no broad smile."""
    rows = np.zeros(len(speaker), dtype=np.int64)
    frames = draft.noise.shape[2]
    return replace(
        draft, speaker=speaker, conditions=draft.conditions.take(rows), missing=draft.missing[rows],
        sides=draft.sides[rows], noise=draft.noise[rows], dip=draft.dip[rows],
        broad=np.where(faceless, 0.0, draft.broad).astype(np.float32),
        past=past.latents(draft.slot - draft.past.shape[1], draft.past.shape[1]), memory=past.memory(draft.slot),
        last=past.shown(draft.slot - 1, 1)[:, 0], before=past.shown(draft.slot, frames),
    )  # fmt: skip


def _nods(networks: Networks, draft: Draft) -> FloatArray:
    """Nods a minute (variants,) that would begin now, not yet as many as learnt; 0 without a network for them."""
    if networks.nods is None:
        return np.zeros(len(draft.speaker), dtype=np.float32)
    ages = np.full((len(draft.speaker), 1), np.max(draft.lead) + 1)
    sharpness = 1.0 if "sharpness" in draft.how.without else SHARPNESS
    known = nod_conditions(draft.conditions)
    rates = networks.nods.rates(draft.speaker, draft.missing, known, ages, sharpness=sharpness)
    return np.asarray(rates[:, 0] * REACTION_RATE_HZ * 60.0, dtype=np.float32)
