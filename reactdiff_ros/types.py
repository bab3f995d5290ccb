"""The values that pass between rooms: frozen, stamped, named basis, SI units.

Every `*_ns` is a capture time in nanoseconds on the node's clock (int; None = nothing of that kind was consumed).
A stamp is passed on only if that picture or sound really influenced the value that carries it.
Arrays are float32 and must not be written to by the receiver. Coefficients: see `coefficients.py`.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Literal

import numpy as np
from numpy.typing import NDArray

FloatArray = NDArray[np.float32]
Array = NDArray[np.float64]
"""float64, in which rooms compute; what they pass to each other is a FloatArray."""
UINT8 = NDArray[np.uint8]
OnProgress = Callable[[float], None]
"""Receives the completed share of a piece of work, 0..1."""

EXPRESSION_CLASSES = ("angry", "disgust", "fear", "happy", "sad", "surprise", "neutral", "contempt")
NEGATIVE_CLASSES = tuple(EXPRESSION_CLASSES.index(name) for name in ("angry", "disgust", "fear", "sad"))
"""Indices of the expressions that are not smiled at."""
MFCC_COUNT = 26
REACTION_RATE_HZ = 25.0
EXPRESSION_RATE_HZ = 50.0
MOUTH_RATE_HZ = 100.0
MOST_CHANNELS = 32
"""Of a chunk of sound; what seems to have more has its axes swapped."""

FaceMode = Literal["listening", "idle", "neutral"]
Alphabet = Literal["ipa", "arpabet", "oculus", "azure"]
"""Of timed speech sounds: phones in IPA or ARPAbet, visemes of Oculus (15) or Azure (ids 0 to 21)."""
SpeechPhase = Literal["idle", "preparing", "speaking", "stopping"]
TurnEventKind = Literal[
    "user_started", "eot_eager", "eot", "eot_cancelled", "user_backchannel", "barge_in", "robot_started",
    "robot_stopped",
]  # fmt: skip
"""eot: the person's turn has ended; eot_eager: it probably has; eot_cancelled: the person goes on after all."""
Turn = Literal["listening", "robot_speaking", "idle"]
"""Whose turn it is, as the listener sees it: the other's, the robot's own, or no one is there to listen to."""


@dataclass(frozen=True, slots=True)
class Picture:
    """One camera picture. `bgr`: uint8 (height, width, 3), upright, not mirrored."""

    stamp_ns: int
    bgr: UINT8
    frame_id: str = "camera_optical_frame"
    focal_px: float | None = None
    """Focal length in pixels from camera_info; None: perception's field-of-view setting is used."""


@dataclass(frozen=True, slots=True)
class Sound:
    """A chunk of sound. `samples`: int16 (n, channels); `stamp_ns` is the capture time of the first sample."""

    stamp_ns: int
    rate_hz: int
    samples: NDArray[np.int16]
    clean: bool = False
    """The robot's own voice was taken out of it by an echo canceller."""

    @property
    def end_ns(self) -> int:
        """Capture time just after the last sample."""
        return self.stamp_ns + len(self.samples) * 1_000_000_000 // self.rate_hz


@dataclass(frozen=True, slots=True)
class Voice:
    """What the microphone heard up to `SpeakerFrame.sound_stamp_ns`."""

    speech_probability: float
    """0..1, from the voice-activity network."""
    speaking: bool
    """speech_probability with hysteresis and hang-over."""
    mfcc: FloatArray
    """(26,), 40 ms window."""
    pitch_hz: float
    """Fundamental frequency, 0 = unvoiced."""
    loudness_dbfs: float
    """RMS of the last 40 ms in dB relative to full scale, -100 = digital silence."""
    pause_s: float
    """Seconds since the last utterance ended; 0 while speaking; NaN if no one has spoken yet."""
    utterance_s: float
    """Seconds since the current utterance began; 0 while silent."""
    clean: bool = False
    """The sound is without the robot's own voice (`Sound.clean`): it is a person's also while the robot speaks."""


@dataclass(frozen=True, slots=True)
class Affect:
    """What a face expresses. `probabilities`: (8,) in the order of EXPRESSION_CLASSES, summing to 1; all 0: unknown."""

    label: str
    probabilities: FloatArray
    valence: float
    """-1..1, see `affect.projected`."""
    arousal: float
    """-1..1."""


@dataclass(frozen=True, slots=True)
class Gaze:
    """Where the speaker's eyes point: angles of the line of sight, 0 = straight into the camera."""

    yaw_rad: float
    """Positive: to the speaker's own left."""
    pitch_rad: float
    """Positive: down."""
    contact: float
    """0..1, belief that the speaker looks at the robot."""


@dataclass(frozen=True, slots=True)
class SpeakerFrame:
    """What is known of the speaker now. One a picture; without pictures, 25 a second from sound alone."""

    stamp_ns: int
    """Capture time of the newest evidence in this frame."""
    picture_stamp_ns: int | None
    """The picture consumed, None = no camera picture (unobserved, which does not mean that no one is there)."""
    sound_stamp_ns: int | None
    """End of the newest sound consumed, None = no microphone (unobserved, which is not silence)."""
    person_id: int
    """Track id of the target, -1 = no one."""
    face_present: bool
    """A face was detected (also too far away for the mesh)."""
    mesh_present: bool
    """Landmarks were found: coefficients, gaze and position are of this picture."""
    coefficients: FloatArray
    """(58,) in the order of `coefficients.NAMES`; relative to the personal neutral; 0 where unobserved."""
    confidence: FloatArray
    """(58,) 0..1 for each coefficient; 0 = unobserved."""
    neutral_confidence: float
    """0..1, how far the personal neutral has been learnt."""
    gaze: Gaze | None
    position_m: FloatArray | None
    """(3,) midpoint of the speaker's eyes in the camera's optical frame (x right, y down, z forward)."""
    affect: Affect | None
    voice: Voice | None
    frame_id: str = "camera_optical_frame"


@dataclass(frozen=True, slots=True)
class GazeTarget:
    """The speaker's eyes as a point to look at, metres in `frame_id` (REP-103 optical axes)."""

    stamp_ns: int
    position_m: FloatArray
    frame_id: str = "camera_optical_frame"


@dataclass(frozen=True, slots=True)
class HeadPose:
    """Where the robot's head was measured, or what its motors were set to where it cannot be: (6,) in the order, units
    and axes of the last six coefficients, zero with the head at rest.
    """

    stamp_ns: int
    pose: FloatArray


@dataclass(frozen=True, slots=True)
class Reaction:
    """The chosen plan: `coefficients` (horizon, 58), frame i is for time start_ns + i / rate_hz."""

    start_ns: int
    rate_hz: float
    coefficients: FloatArray
    commit_frames: int
    """How many frames will be emitted before the next plan is due; the rest bridges a late plan."""
    engaged: bool
    """False: no one to listen to (idle)."""
    seed: int
    policy: str
    backend: str
    compute_s: float
    picture_stamp_ns: int | None
    """Newest picture that the sampler consumed."""
    sound_stamp_ns: int | None
    candidate: int = 0
    candidates: FloatArray | None = None
    """(K, horizon, 58) when asked for, else None."""
    reason: str = "hop"
    """Why planned now: "hop" (due) or "evidence" (clear new evidence)."""
    turn: Turn = "listening"
    """While the robot itself speaks, a plan holds no backchannels."""


@dataclass(frozen=True, slots=True)
class Explanation:
    """A plan, and what it would have been without one cue of what the listener saw and heard: one row a cue."""

    stamp_ns: int
    """Time of the plan's first frame."""
    cues: tuple[str, ...]
    """"plan" for the plan itself, then what is left out: streams of the last seconds, or moments ("0.5-1 s" ago)."""
    smile: FloatArray
    """(cues,) mean smile of the plan, 0..1."""
    brows: FloatArray
    """(cues,) how far the brows are raised, less what is lowered, -1..1."""
    nods_per_min: FloatArray
    """(cues,) nods a minute that would begin now."""


@dataclass(frozen=True, slots=True)
class Mouth:
    """What the robot's own speech does with its mouth: frame i is for the sound heard at start_ns + i / rate_hz.

    Tracks of one utterance may overlap; the newest one holds from its start on.
    """

    utterance: str
    """Id of the utterance."""
    start_ns: int
    """When the sound of the first frame is heard (not when it was computed)."""
    coefficients: FloatArray
    """(frames, len(MOUTH)) in the order of `coefficients.MOUTH`, 0..1."""
    closure: FloatArray
    """(frames,) 0..1, how firmly the lips must stay closed (p, b, m 1; f, v about .6): nothing may open them."""
    accent: FloatArray
    """(frames,) 0..1, prominence of the syllable: head and brows may mark it."""
    level: FloatArray
    """(frames,) 0..1, loudness of the robot's own sound; 0 in silence."""
    rate_hz: float = MOUTH_RATE_HZ


@dataclass(frozen=True, slots=True)
class SpeechTiming:
    """When the sounds of an utterance are heard, from the synthesis that makes them."""

    utterance: str
    start_ns: int
    """When the first sample of the utterance is heard."""
    alphabet: Alphabet
    symbols: tuple[str, ...]
    starts_s: FloatArray
    """(symbols,) seconds after start_ns, rising."""
    ends_s: FloatArray
    """(symbols,) each after its start."""


@dataclass(frozen=True, slots=True)
class SpeechState:
    """What the robot's own speech does now."""

    stamp_ns: int
    phase: SpeechPhase
    utterance: str = ""
    """Id of the utterance, "" when idle."""
    text: str = ""
    """The words that were heard so far; "" where they are unknown."""
    start_ns: int | None = None
    """When its first sample is heard; None: not known yet."""
    end_ns: int | None = None
    """When its last sample is heard; None: not known yet."""
    emotion: str = "neutral"
    """One of EXPRESSION_CLASSES."""
    intensity: float = 1.0
    """0..2, strength of the emotion; 1 = ordinary."""


@dataclass(frozen=True, slots=True)
class TurnSignals:
    """Who has the floor, 20 times a second; probabilities are 0..1, NaN where nothing is known."""

    stamp_ns: int
    p_speaking: float
    """The person speaks now."""
    p_eot: float
    """The person's turn has ended; NaN while they speak."""
    p_now: float
    """The person, rather than the robot, speaks within the next 0.6 s."""
    p_future: float
    """The same for 0.6 to 2 s from now."""
    p_backchannel: float
    """A short "mm" or a nod of the listener would fit now."""
    p_user_starts: float
    """The person is about to speak."""
    p_barge_in: float
    """The person takes the floor while the robot speaks."""
    silence_s: float
    """Seconds since the person's last sound; 0 while they speak; NaN: they have not spoken."""
    picture_stamp_ns: int | None
    sound_stamp_ns: int | None
    model: str
    """What read them."""


@dataclass(frozen=True, slots=True)
class TurnEvent:
    """Something happened to the floor."""

    stamp_ns: int
    """When it happened (which may be before it was noticed)."""
    kind: TurnEventKind
    confidence: float
    """0..1."""
    utterance: str = ""
    """The robot's utterance that it is about, "" for none."""


@dataclass(frozen=True, slots=True)
class PersonSeen:
    """One of the people in view."""

    person_id: int
    position_m: FloatArray | None
    """(3,) midpoint of the eyes in the camera's optical frame; None: not known."""
    speaking: float
    """0..1, belief that this person speaks now."""
    attention: float
    """0..1, belief that this person looks at the robot."""
    addressed: float
    """0..1, belief that the one who speaks now speaks to this person."""


@dataclass(frozen=True, slots=True)
class People:
    """Who is in view now, once a picture. Passers-by are left out."""

    stamp_ns: int
    """Capture time of the picture."""
    persons: tuple[PersonSeen, ...]
    target: int
    """Id of the one who is listened to, -1 = no one."""
    robot_addressed: float
    """0..1, belief that the one who speaks now speaks to the robot."""
    frame_id: str = "camera_optical_frame"


@dataclass(frozen=True, slots=True)
class ExpressionFrame:
    """The face for now: what every actuator and avatar shows."""

    stamp_ns: int
    coefficients: FloatArray
    """(58,), finite, within `coefficients.LOWER`..`UPPER`."""
    mode: FaceMode
    layers: tuple[str, ...]
    """Names of the layers that acted, in order."""
    picture_stamp_ns: int | None
    """Newest picture that influenced this frame through any layer."""
    sound_stamp_ns: int | None
    reaction_picture_stamp_ns: int | None
    """Newest picture that influenced it through the listener's plan."""
    reaction_sound_stamp_ns: int | None


@dataclass(frozen=True, slots=True)
class ListenerControl:
    """Style of listening. NaN (or "" / None) leaves a setting as it is. Ranges: `settings.RANGES`."""

    attitude: float = float("nan")
    """-1 (cool, sceptical) .. 1 (warm); 0 = neutral."""
    responsiveness: float = float("nan")
    """0 (couples to the speaker as people do) .. 1 (answers nearly every smile)."""
    smiling: float = float("nan")
    """-1 (hardly smiles) .. 1 (smiles often); 0 = ordinary."""
    nodding: float = float("nan")
    """Backchannel rate: -1 (hardly nods) .. 1 (nods often); 0 = ordinary."""
    liveliness: float = float("nan")
    """-1 (head and brows hardly move) .. 1 (lively); 0 = ordinary."""
    delay_s: float = float("nan")
    """Extra reaction time, 0..1 s."""
    intensity: float = float("nan")
    """0 (motionless) .. 2 (twice as strong); 1 = as people do."""
    stillness: float = float("nan")
    """0 (lively idle) .. 1 (no idle motion)."""
    upper_face: float = float("nan")
    """Gain of brows and lids, 0..2."""
    lower_face: float = float("nan")
    """Gain of cheeks and mouth, 0..2."""
    head: float = float("nan")
    """Gain of head motion, 0..2."""
    style: str = ""


@dataclass(frozen=True, slots=True)
class ListenerState:
    """What a listener reports about itself, for status and diagnostics."""

    policy: str
    backend: str
    engaged: bool
    plans: int = 0
    compute_ms: float = 0.0
    dropped: int = 0
    settings: dict[str, float | str] = field(default_factory=dict)
    error: str = ""
    turn: Turn = "idle"
