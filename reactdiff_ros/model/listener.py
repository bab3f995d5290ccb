"""The one small interface of every listener (model, rules, mime, random, idle) and its settings."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol, runtime_checkable

from reactdiff_ros.settings import check_settings, setting
from reactdiff_ros.styles import DEFAULT_STYLE, control
from reactdiff_ros.types import ListenerControl, ListenerState, Reaction, SpeakerFrame

HORIZON_FRAMES = 16
"""Frames of one plan on the 25 Hz grid, at most: 0.64 s."""


@dataclass(frozen=True)
class ListenerConfig:
    """Start values of a listener. The names are the ROS parameters of reaction_node.

    Raises:
        ConfigError: a value is out of range.
    """

    hop_s: float = setting(0.16, "Time between two plans.", unit="s", low=0.04, high=0.64)
    candidates: int = setting(4, "Reactions drawn per plan (model policy).", low=1, high=16)
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
        4.0, "How long the listener keeps its greeting style after someone arrives, reacting to almost everything "
             "(model policy).",
        unit="s", low=0.0, high=20.0,
    )  # fmt: skip
    nod_rate_per_min: float = setting(
        4.5, "Nods per minute of the person's speech (rules and random policies).", unit="1/min", low=0.0, high=12.0
    )
    smile_share: float = setting(
        0.6, "Share of the person's smiles that are returned (rules policy).", low=0.0, high=1.0
    )
    mime_lag_s: float = setting(0.6, "Delay of the copied face (mime policy).", unit="s", low=0.0, high=2.0)
    absent_s: float = setting(0.7, "Without a face for this long, no one is present.", unit="s", low=0.1, high=5.0)
    silence_idle_s: float = setting(
        20.0,
        "If a person is silent with a still face for this long, the listener is idle.",
        unit="s",
        low=1.0,
        high=600.0,
    )
    voice_hold_s: float = setting(
        8.0,
        "Without a camera, the listener keeps listening this long after the last speech.",
        unit="s",
        low=0.5,
        high=120.0,
    )
    input_timeout_s: float = setting(
        1.0,
        "Without a frame or a modality for this long, that input counts as lost and not as silent.",
        unit="s",
        low=0.2,
        high=10.0,
    )
    robot_speaking_timeout_s: float = setting(
        1.0, "robot_speaking expires after this long.", unit="s", low=0.1, high=10.0
    )

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
    """A listener that turns what it is told of the speaker into short plans of its own face.

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
        """Forget the speaker and the own past, as after a jump of the clock; with `seed`, start that noise anew.

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

        `now_ns` is the time of the message; None means the newest time that this listener has been told.
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
