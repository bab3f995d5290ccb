"""The listener that is a model: speaker tokens in, plans drawn by latent diffusion out."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import ClassVar, Final

import numpy as np
from numpy.typing import NDArray

from reactdiff_ros.coefficients import BLINK, COEFFICIENT_COUNT, EYE_LOOK, NAMES, bounded, index
from reactdiff_ros.model.evidence import EvidenceWatch
from reactdiff_ros.model.grid import SpeakerGrid
from reactdiff_ros.model.listener import HORIZON_FRAMES, ListenerConfig
from reactdiff_ros.model.policies.base import PolicyListener
from reactdiff_ros.model.runtime import VAE_CONTEXT, Networks
from reactdiff_ros.model.sampler import NoiseTape, blend, smooth
from reactdiff_ros.model.weights import find_weights
from reactdiff_ros.types import REACTION_RATE_HZ, FloatArray, ListenerState, Reaction, SpeakerFrame

RECALL: Final = 4
"""Frames of its own past that the network is shown: enough to go on smoothly, too few to hold on to a smile for its
own sake (free-running on simulated dyads, 4 couples to the speaker better than 16)."""
COOL, WARM = 0.5, 0.15
"""At attitude -1 a smile is shown at 1 - COOL of its size, at 1 at 1 + WARM, on top of the network's condition, which
every new plan dilutes."""
_SMILING: Final = index(
    *(n for n in NAMES if n.startswith(("mouthSmile", "cheekSquint", "mouthDimple", "mouthUpperUp")))
)
CHOICE_SLOTS: Final = 20
"""A choice among the candidates is held for at least 0.8 s."""
_FADE: Final = np.float32(np.exp(-0.04 / 0.2))
_KEEP: Final = 48


class OwnPast:
    """What the listener showed, slot by slot: committed frames of its plans, neutral before the first."""

    def __init__(self) -> None:
        self.clear()

    def clear(self) -> None:
        """Nothing shown yet."""
        self._start: int | None = None
        self._frames: FloatArray = np.zeros((0, COEFFICIENT_COUNT), dtype=np.float32)

    def planned(self, slot: int, count: int) -> FloatArray:
        """What is planned so far for `count` slots from `slot` on, fading to neutral after the end of the plan."""
        out = np.zeros((count, COEFFICIENT_COUNT), dtype=np.float32)
        if self._start is None:
            return out
        last = self._start + len(self._frames) - 1
        for i in range(count):
            index = slot + i
            if index < self._start:
                continue
            over = max(index - last, 0)
            out[i] = self._frames[min(index, last) - self._start] * (_FADE**over if over < 200 else 0.0)
        return out

    def add(self, slot: int, frames: FloatArray) -> None:
        """A new plan takes over at `slot`."""
        kept = self.planned(slot - _KEEP, _KEEP)
        self._start, self._frames = slot - _KEEP, np.concatenate([kept, frames])


class DiffusionListener(PolicyListener):
    """Policy "model": see `listener.Listener` for the contract.

    A plan of 0.64 s is drawn from the newest speaker tokens and the listener's own past; `hop_s` of it is committed,
    then the horizon is planned again, at once on clear new evidence. Every 0.8 s at the earliest `candidates` plans
    are drawn from the same past, and the one that continues the face most smoothly is held until the next choice.

    Args:
        seed: of the noise.
        config: settings of the listener.
        timer: seconds of a monotonic clock, for `compute_s`; None: not measured (0).

    Raises:
        WeightsError: the weights are missing or wrong.
    """

    NAME: ClassVar[str] = "model"

    def __init__(
        self, *, seed: int, config: ListenerConfig | None = None, timer: Callable[[], float] | None = None
    ) -> None:
        config = config or ListenerConfig()
        self._networks = Networks(find_weights(config.model_dir), config.threads)
        self._shape = self._networks.shape
        self.timer = timer
        self._compute_s = 0.0
        self._grid = SpeakerGrid(self._networks, keep=self._shape["speech"] + 8)
        self._past = OwnPast()
        self._watch = EvidenceWatch()
        super().__init__(seed=seed, config=config)

    def _start(self) -> None:
        super()._start()
        self._tape = NoiseTape(self._seed, self._shape["latent"])
        self._grid.clear()
        self._past.clear()
        self._watch.clear()
        self._stream = 0
        self._chosen_slot: int | None = None
        self._deaf = False

    def state(self) -> ListenerState:
        """What is in force; see `Listener.state`."""
        return replace(super().state(), backend=self._backend, compute_ms=1e3 * self._compute_s)

    @property
    def _backend(self) -> str:
        return f"onnxruntime-cpu {self._networks.name}"

    def _observed(self, frame: SpeakerFrame) -> None:
        self._deaf = self._engagement.robot_speaks(frame.stamp_ns)
        self._grid.push(frame, deaf=self._deaf)
        self._watch.observe(frame, speaks=self._engagement.other_speaks(frame.stamp_ns))
        if self._last_slot is not None:
            since = self._clock.grid.slot(frame.stamp_ns) + 1 - self._last_slot
            self._evidence = self._evidence or self._watch.clear_change(since)

    def _reaction(self, slot: int, reason: str) -> Reaction:
        begin = self.timer() if self.timer is not None else 0.0
        self._watch.planned()
        levels = self._levels(slot)
        everything = self._candidates(slot, levels)
        chosen = self._choose(slot, everything)
        self._past.add(slot, everything[chosen])
        if self.timer is not None:
            self._compute_s = self.timer() - begin
        frame = self._newest
        return Reaction(
            start_ns=self._clock.grid.time_ns(slot),
            rate_hz=REACTION_RATE_HZ,
            coefficients=self._in_style(everything[chosen]),
            commit_frames=self._clock.hop,
            engaged=self._engaged,
            seed=self._seed,
            policy=self.NAME,
            backend=self._backend,
            compute_s=self._compute_s,
            picture_stamp_ns=None if frame is None else frame.picture_stamp_ns,
            sound_stamp_ns=None if frame is None or self._deaf else frame.sound_stamp_ns,
            candidate=self._stream,
            candidates=self._in_style(np.stack(list(everything.values()))) if self._config.publish_candidates else None,
            reason=reason,
        )

    def _in_style(self, plans: FloatArray) -> FloatArray:
        """Plans (..., 58) with the size of smiles that the attitude asks for."""
        attitude = self._style.attitude
        shown = plans.copy()
        shown[..., _SMILING] *= 1 + (COOL if attitude < 0 else WARM) * attitude
        return bounded(shown)

    def _streams(self, slot: int) -> list[int]:
        """Which candidates are drawn now: all of them when a choice is due, else the one that is held."""
        due = self._chosen_slot is None or slot - self._chosen_slot >= CHOICE_SLOTS
        if due or self._config.publish_candidates:
            return list(range(self._config.candidates))
        return [self._stream]

    def _choose(self, slot: int, everything: dict[int, FloatArray]) -> int:
        if self._chosen_slot is not None and slot - self._chosen_slot < CHOICE_SLOTS and self._stream in everything:
            return self._stream
        before = self._past.planned(slot, HORIZON_FRAMES)
        jumps = {k: float(np.abs(plan[:4] - before[:4]).sum()) for k, plan in everything.items()}
        self._stream = min(jumps, key=lambda k: jumps[k])
        self._chosen_slot = slot
        return self._stream

    def _candidates(self, slot: int, levels: NDArray[np.float64]) -> dict[int, FloatArray]:
        """Plans (HORIZON_FRAMES, 58) by stream, blended into what was planned before."""
        streams = self._streams(slot)
        if not levels.any():
            return {k: np.zeros((HORIZON_FRAMES, COEFFICIENT_COUNT), dtype=np.float32) for k in streams}
        plans = self._draw(slot, streams)
        plans[..., [*EYE_LOOK, *BLINK]] = 0.0  # other layers' work
        before = self._past.planned(slot, HORIZON_FRAMES)
        out: dict[int, FloatArray] = {}
        for k, plan in zip(streams, plans, strict=True):
            out[k] = bounded(blend(bounded(levels[:, None] * bounded(plan)), before))
        return out

    def _draw(self, slot: int, streams: list[int]) -> FloatArray:
        s = self._shape
        lead = self._lead(slot)
        speaker, missing = self._grid.tokens(slot - 1 - lead, s["speech"])
        shown = self._past.planned(slot - s["past"] - VAE_CONTEXT, s["past"] + VAE_CONTEXT)
        past = self._networks.latents(shown)
        noise = np.stack([self._tape.frames(slot, s["horizon"], stream) for stream in streams])
        latents = self._networks.sample(
            speaker, missing, past, self._control_vector(lead), noise,
            steps=self._config.steps, guidance=self._config.guidance, recall=RECALL,
        )  # fmt: skip
        plans = self._networks.coefficients(past, latents)
        # Two frames of what was shown before, two of the last one after: the plan keeps its length.
        shown = np.broadcast_to(shown[-2:], (len(plans), 2, COEFFICIENT_COUNT))
        return smooth(np.concatenate([shown, plans, plans[:, -1:], plans[:, -1:]], axis=1))

    def _lead(self, slot: int) -> int:
        """Slots between the newest evidence and the plan; the grid is filled up where that is too many."""
        longest = self._shape["max_lead"] - 1
        self._grid.advance(slot - 1 - longest)
        newest = self._grid.newest
        return longest if newest is None else int(np.clip(slot - 1 - newest, 0, longest))

    def _control_vector(self, lead: int) -> FloatArray:
        count = self._shape["controls"]
        vector = np.zeros(2 * count + self._shape["max_lead"], dtype=np.float32)
        vector[0] = self._style.attitude
        vector[count : 2 * count] = 1.0
        vector[2 * count + lead] = 1.0
        return vector
