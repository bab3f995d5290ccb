"""A listener: its settings, the one small interface of all of them, and what they share.

`PolicyListener` observes frames, knows when a plan is due and makes it; `diffusion_listener` (the model) and
`policies` (rules, mime, random, idle) fill in the face.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar, Final, Protocol, runtime_checkable

import numpy as np
from numpy.typing import NDArray

from reactdiff_ros.clock import NS, Grid, StampGuard, to_ns
from reactdiff_ros.coefficients import INDEX, NAMES, bounded, neutral
from reactdiff_ros.model.plan.level import HORIZON_FRAMES, Frames, Level
from reactdiff_ros.model.speaker.engagement import DelayedView, Engagement, EngagementConfig, check_frame
from reactdiff_ros.settings import check_settings, setting
from reactdiff_ros.styles import DEFAULT_STYLE, LISTENER_CONTROLS, Style, apply_control, control, style_book
from reactdiff_ros.types import (
    REACTION_RATE_HZ,
    FloatArray,
    ListenerControl,
    ListenerState,
    Reaction,
    SpeakerFrame,
    Turn,
)

ATTITUDE_GAIN: Final = 0.3
"""A fully warm listener without a network shows smiles 1.3 times as strong, a fully cool one 0.7 times; brows down the
other way."""
_SMILING: Final = [
    i for i, n in enumerate(NAMES) if n.startswith(("mouthSmile", "cheekSquint", "mouthDimple", "mouthUpperUp"))
]
_FROWNING: Final = [INDEX["browDownLeft"], INDEX["browDownRight"]]
JUMP_NS: Final = NS // 2


@dataclass(frozen=True)
class ListenerConfig(EngagementConfig):
    """Start values of a listener. The names are the ROS parameters of reaction_node.

    Raises:
        ConfigError: a value is out of range.
    """

    hop_s: float = setting(0.16, "Time between two plans.", unit="s", low=0.04, high=0.64)
    candidates: int = setting(
        4, "Reactions drawn per plan where all are published; the first one is shown (model policy).", low=1, high=16
    )
    steps: int = setting(8, "Denoiser steps per plan (model policy).", low=1, high=64)
    guidance: float = setting(1.0, "Classifier-free guidance on the speaker (model policy).", low=0.0, high=8.0)
    model_dir: str = setting("", "Folder with the model's weights. Empty: the shipped weights (model policy).")
    threads: int = setting(1, "Threads of the network (model policy).", low=1, high=16)
    publish_candidates: bool = setting(
        False, "Draw and publish all candidates of every plan, even without a subscriber (model policy)."
    )
    style: str = setting(DEFAULT_STYLE, "Name of a style: a shipped one (config/styles.yaml) or one of your own.")
    styles_file: str = setting(
        "", "File with your own styles. Empty: ~/.config/reactdiff_ros/styles.yaml, if it exists."
    )
    attitude: float = control("attitude", "From cool and sceptical (-1) to warm (1)")
    responsiveness: float = control(
        "responsiveness", "0: reacts about as often as people do, 1: returns nearly every smile"
    )
    smiling: float = control("smiling", "Amount of smiling. 0: ordinary")
    nodding: float = control("nodding", "Backchannel rate. 0: ordinary")
    liveliness: float = control("liveliness", "Amount of head and brow motion. 0: ordinary")
    delay_s: float = control("delay_s", "Additional reaction time", unit="s")
    greeting_s: float = setting(
        4.0, "For how long after someone arrives the listener returns their smile more surely (model policy).",
        unit="s", low=0.0, high=20.0,
    )  # fmt: skip
    nod_rate_per_min: float = setting(
        4.5, "Nods per minute of the person's speech (rules and random policies).", unit="1/min", low=0.0, high=12.0
    )
    smile_share: float = setting(
        0.6, "Share of the person's smiles that are returned (rules policy).", low=0.0, high=1.0
    )
    mime_lag_s: float = setting(0.6, "Delay of the copied face (mime policy).", unit="s", low=0.0, high=2.0)

    def __post_init__(self) -> None:
        check_settings(self, "reaction_node")


@runtime_checkable
class ShowsCandidates(Protocol):
    """A listener that draws several candidates and can show them all."""

    def show_candidates(self, wanted: bool) -> None:
        """Whether the plans from now on carry all their candidates; that costs time, and changes nothing shown."""
        ...


@runtime_checkable
class Listener(Protocol):
    """A listener that turns what it observes of the speaker into short plans of its own face.

    A listener is causal and deterministic: what `plan` returns depends on the calls made so far and on the seed
    alone. All times are int nanoseconds on the clock of the capture stamps. A call never blocks on a device and never
    reads a clock.

    What a `ListenerControl` does where, so that nothing acts twice: a listener uses `styles.LISTENER_CONTROLS` and a
    style's reference; intensity, gains of regions, stillness and the resting face are applied by the expression room
    to the plan of any listener.
    """

    @property
    def name(self) -> str:
        """The policy: model, rules, mime, random or idle."""
        ...

    def reset(self, seed: int | None = None) -> None:
        """Forget the speaker and the own past, as after a jump of the clock; with `seed`, start that noise again.

        Without a seed the noise starts again from the last seed given: same input, same bits. Style stays.
        """
        ...

    def control(self, control: ListenerControl) -> None:
        """Change style. NaN or "" leaves a setting as it is; numbers are clipped to their ranges.

        Raises:
            ConfigError: the named style is unknown; nothing changed.
        """
        ...

    def robot_speaking(self, speaking: bool, now_ns: int | None = None) -> None:
        """The robot's own speech began, goes on (True, repeated) or ended. True lapses after 1 s.

        `now_ns` is the time of the message; None means the time of the newest frame observed.
        While the robot speaks, and for a moment after, sound is its own: it is neither a voice to listen to nor a cue
        to nod at. The listener still sees the other's face, and makes no backchannels.
        """
        ...

    def observe(self, frame: SpeakerFrame) -> None:
        """Take in one frame. Late frames are dropped and counted; a jump back by more than 0.5 s resets.

        Raises:
            MessageError: `coefficients` or `confidence` are not (58,); the frame was dropped.
        """
        ...

    def plan(self, now_ns: int) -> Reaction | None:
        """The next plan if one is due at `now_ns`, else None.

        Due: `hop_s` after the last plan on the 25 Hz grid, or at once on clear new evidence. Called after every
        `observe` and on a 25 Hz timer. The plan starts on the grid at the slot after `now_ns`, has at most
        HORIZON_FRAMES frames and at least those of `hop_s`, continues what this listener emitted, is finite and within
        `coefficients.LOWER`..`UPPER`. Its stamps are those of the newest frame whose content shaped the coefficients.
        None as well while no frame came for `input_timeout_s`: dead input is not an empty room.
        """
        ...

    def state(self) -> ListenerState:
        """What is in force and how it goes, for status and diagnostics."""
        ...


class PlanClock:
    """When the next plan is due: every `hop` slots of the 25 Hz grid, or at the next slot on evidence."""

    def __init__(self, hop_s: float) -> None:
        self.grid = Grid()
        self.hop = max(round(to_ns(hop_s) / self.grid.period_ns), 1)
        self.last_slot: int | None = None
        """First slot of the last plan."""

    def reset(self) -> None:
        """Forget the last plan: the next one is due at once."""
        self.last_slot = None

    def jumped_back(self, now_ns: int) -> bool:
        """The clock is more than half a second before the last plan."""
        return self.last_slot is not None and now_ns < self.grid.time_ns(self.last_slot) - JUMP_NS

    def due(self, now_ns: int, *, evidence: bool) -> tuple[int, str] | None:
        """First slot of the plan that is due at `now_ns` and why ("hop", "evidence"), or None."""
        slot = self.grid.slot(now_ns) + 1
        since = self.hop if self.last_slot is None else slot - self.last_slot
        if since >= self.hop:
            reason = "hop"
        elif evidence and since >= 1:
            reason = "evidence"
        else:
            return None
        self.last_slot = slot
        return slot, reason


class PolicyListener:
    """Base of the listeners without a network; see `Listener` for the contract of each method.

    A policy gives `_frame(time_ns)` for one slot and may use `_observed` and `_before_plan`. It sees the speaker
    `delay_s` late (`_view`): that is its reaction delay. Whether someone is there, and whether the robot itself
    speaks, it knows at once (`_engagement`).
    """

    NAME: ClassVar[str] = ""
    CONSUMES: ClassVar[bool] = True
    """The content of plans depends on frames. Then stamps are those of the newest frame seen; else None."""
    DELAYED: ClassVar[bool] = True
    """The reaction delay is a delayed view of the speaker; else the policy makes it itself."""
    _newest: SpeakerFrame | None
    _evidence: bool
    _engaged: bool
    _turn: Turn

    def __init__(self, *, seed: int, config: ListenerConfig, error: str = "") -> None:
        self._config, self._error, self._seed = config, error, seed
        self._styles = style_book(config.styles_file)
        given = {name: getattr(config, name) for name in LISTENER_CONTROLS}
        self._style = apply_control(Style(), ListenerControl(style=config.style, **given), self._styles)
        self._engagement = Engagement(config)
        self._view = Engagement(config)
        self._delayed = DelayedView()
        self._clock = PlanClock(config.hop_s)
        self._plans = self._dropped = 0
        self._start()

    @property
    def name(self) -> str:
        """The policy."""
        return self.NAME

    def reset(self, seed: int | None = None) -> None:
        """Forget the speaker and the own past; see `Listener.reset`."""
        self._seed = self._seed if seed is None else seed
        self._engagement.reset()
        self._view.reset()
        self._delayed.clear()
        self._clock.reset()
        self._start()

    def control(self, control: ListenerControl) -> None:
        """Change style; see `Listener.control`."""
        self._style = apply_control(self._style, control, self._styles)

    def robot_speaking(self, speaking: bool, now_ns: int | None = None) -> None:
        """The robot's own speech; see `Listener.robot_speaking`."""
        self._engagement.robot_speaking(speaking, now_ns)

    def observe(self, frame: SpeakerFrame) -> None:
        """Take in one frame; see `Listener.observe`."""
        check_frame(frame)
        verdict = self._guard.check(frame.stamp_ns)
        if verdict == "late":
            self._dropped += 1
            return
        if verdict == "jump":
            self.reset()
            self._guard.check(frame.stamp_ns)
        heard = self._engagement.observe(frame)
        delay_ns = to_ns(self._style.delay_s) if self.DELAYED else 0
        for original, seen in self._delayed.push(heard, delay_ns):
            self._view.observe(seen)
            self._newest = original
            self._observed(seen)

    def plan(self, now_ns: int) -> Reaction | None:
        """The plan that is due, or None; see `Listener.plan`."""
        due = self.due(now_ns)
        return None if due is None else self._reaction(*due)

    def due(self, now_ns: int) -> tuple[int, str] | None:
        """The first slot of the plan that is to be made now, and why; None: none is due. Each is returned once."""
        if self._clock.jumped_back(now_ns):
            newest = self._newest
            self.reset()
            if newest is not None and newest.stamp_ns <= now_ns:
                self.observe(newest)
        if not self._engagement.alive(now_ns):
            return None
        engaged, turn = self._engagement.engaged(now_ns), self._engagement.turn(now_ns)
        evidence = self._evidence or engaged != self._engaged or turn != self._turn
        due = self._clock.due(now_ns, evidence=evidence)
        if due is None:
            return None
        slot, reason = due
        self._evidence = False
        self._engaged = engaged
        self._turn = turn
        self._before_plan(self._clock.grid.time_ns(slot))
        self._plans += 1
        return slot, reason

    def state(self) -> ListenerState:
        """What is in force; see `Listener.state`."""
        return ListenerState(
            policy=self.NAME,
            backend="rules",
            engaged=self._engaged,
            plans=self._plans,
            dropped=self._dropped,
            settings={**self._style.settings(LISTENER_CONTROLS), "reference": self._reference_text()},
            error=self._error,
            turn=self._turn,
        )

    def _reference_text(self) -> str:
        """The style's reference statistics as text; "none" without one."""
        values = self._style.reference
        return " ".join("-" if v is None else f"{v:.2f}" for v in values) if values else "none"

    def _start(self) -> None:
        """Begin with the seed's noise and nothing known."""
        self._rng = np.random.default_rng(self._seed)
        self._guard = StampGuard()
        self._newest = None
        self._evidence = self._engaged = False
        self._presence = Level(0.0)
        self._turn = "idle"

    def _observed(self, frame: SpeakerFrame) -> None:
        """Called with every frame in order, as it is seen: `delay_s` late, and without the robot's own voice."""

    def _before_plan(self, start_ns: int) -> None:
        """Called when a plan that starts at `start_ns` is due, before its frames are made."""

    def _frame(self, time_ns: int) -> Frames:
        """The face (58,) meant for `time_ns`: neutral unless a policy has one."""
        return neutral().astype(float)

    def _reaction(self, slot: int, reason: str) -> Reaction:
        grid = self._clock.grid
        levels = self._levels(slot)
        frames = np.stack([levels[i] * self._frame(grid.time_ns(slot + i)) for i in range(HORIZON_FRAMES)])
        frame = self._newest if self.CONSUMES else None
        return Reaction(
            start_ns=grid.time_ns(slot),
            rate_hz=REACTION_RATE_HZ,
            coefficients=self._in_style(frames),
            commit_frames=self._clock.hop,
            engaged=self._engaged,
            seed=self._seed,
            policy=self.NAME,
            backend="rules",
            compute_s=0.0,
            picture_stamp_ns=frame.picture_stamp_ns if frame is not None else None,
            sound_stamp_ns=frame.sound_stamp_ns if frame is not None else None,
            reason=reason,
            turn=self._turn,
        )

    def _in_style(self, plans: NDArray[Any]) -> FloatArray:
        """Plans (..., 58) with the size of smiles and frowns that the attitude asks for."""
        shown = np.array(plans, dtype=np.float64)
        shown[..., _SMILING] *= 1.0 + ATTITUDE_GAIN * self._style.attitude
        shown[..., _FROWNING] *= 1.0 - ATTITUDE_GAIN * self._style.attitude
        return bounded(shown)

    def _levels(self, slot: int) -> Frames:
        """Share of the face that is shown, (HORIZON_FRAMES,): 1 while engaged, else 0; continuous."""
        return self._presence.frames(slot, 1.0 if self._engaged else 0.0)
