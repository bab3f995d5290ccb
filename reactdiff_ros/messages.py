"""Values of the rooms <-> messages of ROS' interfaces, both ways without loss; what comes from outside is validated.

A message may be of any library that gives it the interface's field names: rclpy's classes, or those of `rosbags` where
there is no ROS. So this module imports neither: who has a library makes the empty message, and `fill_*` fills it.
A stamp of zero in a message is None in a value: nothing of that kind was consumed. float32 arrays pass as numpy arrays
(fixed size) or `array.array` (variable size), the fast paths of rclpy.
"""

from __future__ import annotations

import array
import math
from collections.abc import Callable
from dataclasses import replace
from typing import Any, Final, TypeVar, get_args

import numpy as np

from reactdiff_ros.settings import RANGES

from .clock import NS
from .coefficients import COEFFICIENT_COUNT, MOUTH
from .errors import MessageError
from .types import (
    EXPRESSION_CLASSES,
    Affect,
    Alphabet,
    Explanation,
    ExpressionFrame,
    FloatArray,
    Gaze,
    GazeTarget,
    HeadPose,
    ListenerControl,
    Mouth,
    People,
    PersonSeen,
    Reaction,
    Sound,
    SpeakerFrame,
    SpeechPhase,
    SpeechState,
    SpeechTiming,
    TurnEvent,
    TurnEventKind,
    TurnSignals,
    Voice,
)

MAX_HORIZON: Final = 250
MAX_MOUTH_S: Final = 60.0
"""Longest track of a mouth in one message."""
MAX_SYMBOLS: Final = 10_000
UNCHANGED: Final = -100.0
"""ListenerControl.UNCHANGED."""
CLEAN: Final = "/clean"
"""The frame id of sound without the robot's own voice ends so (`Sound.clean`)."""
_MODES = ("listening", "idle", "neutral")
M = TypeVar("M", bound=Any)
"""A message class: `fill_*` fill an empty message and return it."""
_TURNS = ("listening", "robot_speaking", "idle")
_CONTROL_FIELDS = {"delay_s": "delay"}
"""Controls whose field of the message is called otherwise: units are in its comments."""


def fill_stamp(stamp: M, ns: int | None) -> M:
    """Nanoseconds (None: zero) into a Time."""
    stamp.sec, stamp.nanosec = divmod(ns or 0, NS)
    return stamp


def fill_header(header: M, stamp_ns: int, frame_id: str = "") -> M:
    """Stamp and frame into a Header."""
    fill_stamp(header.stamp, stamp_ns)
    header.frame_id = frame_id
    return header


def from_stamp(stamp: Any) -> int:
    """A Time to int ns."""
    return int(stamp.sec) * NS + int(stamp.nanosec)


def optional_stamp(stamp: Any) -> int | None:
    """A Time to int ns, zero to None."""
    return from_stamp(stamp) or None


def _finite(values: Any, what: str) -> FloatArray:
    """`values` as float32. Raises MessageError when one is not finite."""
    result = np.asarray(values, dtype=np.float32)
    if not np.isfinite(result).all():
        raise MessageError(f"{what} is not finite")
    return result


def _number(value: float, what: str) -> float:
    if not math.isfinite(value):
        raise MessageError(f"{what} is not finite")
    return float(value)


def _flat(values: FloatArray) -> array.array[float]:
    return array.array("f", np.ascontiguousarray(values, dtype=np.float32).tobytes())


# Sound


def fill_audio(message: M, sound: Sound, frame_id: str) -> M:
    """Sound into an AudioChunk."""
    fill_header(message.header, sound.stamp_ns, frame_id + CLEAN * sound.clean)
    message.sample_rate = sound.rate_hz
    message.channels = sound.samples.shape[1]
    message.samples = array.array("h", np.ascontiguousarray(sound.samples).tobytes())
    return message


def sound_value(message: Any) -> Sound:
    """AudioChunk to Sound. Raises MessageError for a rate, channel count or length that cannot be."""
    sound = pcm_sound(
        from_stamp(message.header.stamp),
        int(message.sample_rate),
        int(message.channels),
        np.frombuffer(message.samples, dtype=np.int16),
    )
    return replace(sound, clean=True) if message.header.frame_id.endswith(CLEAN) else sound


def pcm_sound(stamp_ns: int, rate_hz: int, channels: int, samples: np.ndarray[Any, np.dtype[np.int16]]) -> Sound:
    """Interleaved samples as Sound. Raises MessageError for a rate, channel count or length that cannot be."""
    if not 8000 <= rate_hz <= 192000:
        raise MessageError(f"sound of {rate_hz} Hz", todo="give 8000 to 192000 Hz")
    if not 1 <= channels <= 32:
        raise MessageError(f"sound of {channels} channels", todo="give 1 to 32")
    if len(samples) % channels:
        raise MessageError(f"{len(samples)} samples are not a multiple of {channels} channels")
    if len(samples) // channels > rate_hz:
        raise MessageError("more than one second of sound in one message")
    return Sound(stamp_ns=stamp_ns, rate_hz=rate_hz, samples=samples.reshape(-1, channels))


# Speaker


def fill_speaker(message: M, frame: SpeakerFrame) -> M:
    """SpeakerFrame into its message."""
    fill_header(message.header, frame.stamp_ns, frame.frame_id)
    fill_stamp(message.picture_stamp, frame.picture_stamp_ns)
    fill_stamp(message.sound_stamp, frame.sound_stamp_ns)
    message.person_id = frame.person_id
    message.face_present = frame.face_present
    message.mesh_present = frame.mesh_present
    message.neutral_confidence = float(frame.neutral_confidence)
    message.coefficients = frame.coefficients
    message.confidence = frame.confidence
    if frame.gaze is not None:
        message.gaze_observed = True
        message.gaze_yaw = float(frame.gaze.yaw_rad)
        message.gaze_pitch = float(frame.gaze.pitch_rad)
        message.gaze_contact = float(frame.gaze.contact)
    if frame.position_m is not None:
        message.position_observed = True
        _fill_point(message.position, frame.position_m)
    if frame.affect is not None:
        message.affect_observed = True
        message.expression = frame.affect.label
        message.expression_probabilities = frame.affect.probabilities
        message.valence = float(frame.affect.valence)
        message.arousal = float(frame.affect.arousal)
    if frame.voice is not None:
        fill_voice(message.voice, frame.voice)
    return message


def fill_voice(message: M, voice: Voice) -> M:
    """Voice into its message."""
    message.observed = True
    message.speaking = bool(voice.speaking)
    message.speech_probability = float(voice.speech_probability)
    message.mfcc = voice.mfcc
    message.pitch_hz = float(voice.pitch_hz)
    message.loudness_dbfs = float(voice.loudness_dbfs)
    message.pause_s = float(voice.pause_s)
    message.utterance_s = float(voice.utterance_s)
    message.clean = voice.clean
    return message


def _fill_point(point: Any, metres: FloatArray) -> None:
    point.x, point.y, point.z = (float(v) for v in metres)


def speaker_value(message: Any) -> SpeakerFrame:
    """The message to SpeakerFrame. Raises MessageError for what is not finite or not possible."""
    confidence = _finite(message.confidence, "the confidence of a speaker frame")
    if confidence.min() < 0.0 or confidence.max() > 1.0:
        raise MessageError("the confidence of a speaker frame is outside 0 to 1")
    gaze = position = None
    if message.gaze_observed:
        gaze = Gaze(
            yaw_rad=_number(message.gaze_yaw, "the gaze of a speaker frame"),
            pitch_rad=_number(message.gaze_pitch, "the gaze of a speaker frame"),
            contact=_number(message.gaze_contact, "the gaze contact of a speaker frame"),
        )
    if message.position_observed:
        p = message.position
        position = _finite((p.x, p.y, p.z), "the position of a speaker frame")
    return SpeakerFrame(
        stamp_ns=from_stamp(message.header.stamp),
        picture_stamp_ns=optional_stamp(message.picture_stamp),
        sound_stamp_ns=optional_stamp(message.sound_stamp),
        person_id=int(message.person_id),
        face_present=bool(message.face_present),
        mesh_present=bool(message.mesh_present),
        coefficients=_finite(message.coefficients, "a coefficient of a speaker frame"),
        confidence=confidence,
        neutral_confidence=_number(message.neutral_confidence, "the neutral confidence of a speaker frame"),
        gaze=gaze,
        position_m=position,
        affect=_affect_value(message) if message.affect_observed else None,
        voice=voice_value(message.voice) if message.voice.observed else None,
        frame_id=message.header.frame_id,
    )


def _affect_value(message: Any) -> Affect:
    if message.expression not in EXPRESSION_CLASSES:
        raise MessageError(f"unknown expression {message.expression!r} in a speaker frame")
    probabilities = _finite(message.expression_probabilities, "the affect of a speaker frame")
    missing = len(EXPRESSION_CLASSES) - len(probabilities)  # older bags have no contempt
    return Affect(
        label=message.expression,
        probabilities=np.pad(probabilities, (0, max(missing, 0))),
        valence=_number(message.valence, "the valence of a speaker frame"),
        arousal=_number(message.arousal, "the arousal of a speaker frame"),
    )


def voice_value(message: Any) -> Voice:
    """The message to Voice. Raises MessageError for what is not finite; a pause may be NaN (no one has spoken yet)."""
    if math.isinf(message.pause_s):
        raise MessageError("the pause of a voice is not finite")
    return Voice(
        speech_probability=_number(message.speech_probability, "the speech probability of a voice"),
        speaking=bool(message.speaking),
        mfcc=_finite(message.mfcc, "the MFCC of a voice"),
        pitch_hz=_number(message.pitch_hz, "the pitch of a voice"),
        loudness_dbfs=_number(message.loudness_dbfs, "the loudness of a voice"),
        pause_s=float(message.pause_s),
        utterance_s=_number(message.utterance_s, "the utterance of a voice"),
        clean=bool(getattr(message, "clean", False)),  # older bags do not know
    )


def fill_gaze(message: M, target: GazeTarget) -> M:
    """GazeTarget into a PointStamped."""
    fill_header(message.header, target.stamp_ns, target.frame_id)
    _fill_point(message.point, target.position_m)
    return message


def gaze_value(message: Any) -> GazeTarget:
    """PointStamped to GazeTarget. Raises MessageError for what is not finite."""
    p = message.point
    position = _finite((p.x, p.y, p.z), "a gaze target")
    return GazeTarget(stamp_ns=from_stamp(message.header.stamp), position_m=position, frame_id=message.header.frame_id)


# Listener


def fill_head_pose(message: M, head: HeadPose) -> M:
    """HeadPose into a PoseStamped: REP-103, Rz(yaw) Ry(pitch) Rx(roll), zero with the head at rest."""
    pitch, yaw, roll, left, up, forward = (float(v) for v in head.pose)
    (cp, sp), (cy, sy), (cr, sr) = ((math.cos(a / 2), math.sin(a / 2)) for a in (pitch, yaw, roll))
    fill_header(message.header, head.stamp_ns, "listener_head_rest")
    p, q = message.pose.position, message.pose.orientation
    p.x, p.y, p.z = forward, left, up
    q.w, q.x = cr * cp * cy + sr * sp * sy, sr * cp * cy - cr * sp * sy
    q.y, q.z = cr * sp * cy + sr * cp * sy, cr * cp * sy - sr * sp * cy
    return message


def head_pose_value(message: Any) -> HeadPose:
    """PoseStamped (REP-103, zero with the head at rest) to HeadPose.

    Raises:
        MessageError: it is not finite, or its rotation is none.
    """
    p, q = message.pose.position, message.pose.orientation
    w, x, y, z = q.w, q.x, q.y, q.z
    norm = math.sqrt(w * w + x * x + y * y + z * z) if all(map(math.isfinite, (w, x, y, z))) else 0.0
    if not all(map(math.isfinite, (p.x, p.y, p.z))) or not 0.9 < norm < 1.1:
        raise MessageError("a pose of the head is not finite, or its rotation is not a unit quaternion")
    w, x, y, z = w / norm, x / norm, y / norm, z / norm
    pitch = math.asin(min(max(2 * (w * y - z * x), -1.0), 1.0))
    yaw = math.atan2(2 * (w * z + x * y), 1 - 2 * (y * y + z * z))
    roll = math.atan2(2 * (w * x + y * z), 1 - 2 * (x * x + y * y))
    pose = np.array([pitch, yaw, roll, p.y, p.z, p.x], dtype=np.float32)
    return HeadPose(from_stamp(message.header.stamp), pose)


def fill_reaction(message: M, reaction: Reaction) -> M:
    """Reaction into its message."""
    fill_header(message.header, reaction.start_ns)
    message.frame_rate = float(reaction.rate_hz)
    message.horizon = len(reaction.coefficients)
    message.commit = reaction.commit_frames
    message.engaged = bool(reaction.engaged)
    message.seed = reaction.seed
    message.policy = reaction.policy
    message.backend = reaction.backend
    message.compute_time = float(reaction.compute_s)
    message.candidate = reaction.candidate
    message.candidate_count = 1 if reaction.candidates is None else len(reaction.candidates)
    message.reason = reaction.reason
    message.turn = reaction.turn
    fill_stamp(message.picture_stamp, reaction.picture_stamp_ns)
    fill_stamp(message.sound_stamp, reaction.sound_stamp_ns)
    message.coefficients = _flat(reaction.coefficients)
    return message


def reaction_value(message: Any) -> Reaction:
    """The message to Reaction (without the other candidates). Raises MessageError for a plan that cannot be."""
    horizon = int(message.horizon)
    if not 1 <= horizon <= MAX_HORIZON or len(message.coefficients) != horizon * COEFFICIENT_COUNT:
        raise MessageError(
            f"a reaction of {horizon} frames carries {len(message.coefficients)} numbers",
            todo=f"give 1 to {MAX_HORIZON} frames of {COEFFICIENT_COUNT}",
        )
    if not (math.isfinite(message.frame_rate) and 1.0 <= message.frame_rate <= 1000.0):
        raise MessageError(f"a reaction of {message.frame_rate} frames a second")
    if not 1 <= message.commit <= horizon:
        raise MessageError(f"a reaction of {horizon} frames commits {message.commit}")
    coefficients = _finite(np.frombuffer(message.coefficients, dtype=np.float32), "a coefficient of a reaction")
    return Reaction(
        start_ns=from_stamp(message.header.stamp),
        rate_hz=float(message.frame_rate),
        coefficients=coefficients.reshape(horizon, COEFFICIENT_COUNT),
        commit_frames=int(message.commit),
        engaged=bool(message.engaged),
        seed=int(message.seed),
        policy=message.policy,
        backend=message.backend,
        compute_s=_number(message.compute_time, "the compute time of a reaction"),
        picture_stamp_ns=optional_stamp(message.picture_stamp),
        sound_stamp_ns=optional_stamp(message.sound_stamp),
        candidate=int(message.candidate),
        reason=message.reason,
        turn=message.turn if message.turn in _TURNS else "listening",
    )


def fill_candidates(message: M, reaction: Reaction) -> M:
    """The candidates of a Reaction. Raises ValueError when it carries none."""
    if reaction.candidates is None:
        raise ValueError("this reaction carries no candidates")
    fill_header(message.header, reaction.start_ns)
    message.frame_rate = float(reaction.rate_hz)
    message.count, message.horizon = reaction.candidates.shape[:2]
    message.chosen = reaction.candidate
    message.coefficients = _flat(reaction.candidates)
    return message


def candidates_value(message: Any) -> tuple[FloatArray, int]:
    """The message to ((K, horizon, 58), index of the chosen). Raises MessageError for sizes that do not fit."""
    count, horizon = int(message.count), int(message.horizon)
    if count < 1 or horizon < 1 or len(message.coefficients) != count * horizon * COEFFICIENT_COUNT:
        raise MessageError(f"{count} candidates of {horizon} frames carry {len(message.coefficients)} numbers")
    if not (math.isfinite(message.frame_rate) and message.frame_rate > 0.0):
        raise MessageError(f"candidates of {message.frame_rate} frames a second")
    if message.chosen >= count:
        raise MessageError(f"candidate {message.chosen} of {count} was chosen")
    values = _finite(np.frombuffer(message.coefficients, dtype=np.float32), "a coefficient of a candidate")
    return values.reshape(count, horizon, COEFFICIENT_COUNT), int(message.chosen)


def fill_explanation(message: M, value: Explanation) -> M:
    """Explanation into its message."""
    fill_header(message.header, value.stamp_ns)
    message.cues = list(value.cues)
    message.smile, message.brows = _flat(value.smile), _flat(value.brows)
    message.nods_per_min = _flat(value.nods_per_min)
    return message


def explanation_value(message: Any) -> Explanation:
    """The message to Explanation. Raises MessageError where its lists do not fit."""
    rows = [_finite(getattr(message, n), f"{n} of an explanation") for n in ("smile", "brows", "nods_per_min")]
    if not message.cues or any(len(row) != len(message.cues) for row in rows):
        raise MessageError(f"an explanation of {len(message.cues)} cues has {[len(row) for row in rows]} values")
    return Explanation(from_stamp(message.header.stamp), tuple(message.cues), *rows)


def fill_expression(message: M, frame: ExpressionFrame) -> M:
    """ExpressionFrame into its message."""
    fill_header(message.header, frame.stamp_ns)
    message.mode = frame.mode
    message.layers = list(frame.layers)
    message.coefficients = frame.coefficients
    fill_stamp(message.picture_stamp, frame.picture_stamp_ns)
    fill_stamp(message.sound_stamp, frame.sound_stamp_ns)
    fill_stamp(message.reaction_picture_stamp, frame.reaction_picture_stamp_ns)
    fill_stamp(message.reaction_sound_stamp, frame.reaction_sound_stamp_ns)
    return message


def expression_value(message: Any) -> ExpressionFrame:
    """The message to ExpressionFrame. Raises MessageError for what is not finite or an unknown mode."""
    if message.mode not in _MODES:
        raise MessageError(f"unknown mode {message.mode!r} of an expression frame")
    return ExpressionFrame(
        stamp_ns=from_stamp(message.header.stamp),
        coefficients=_finite(message.coefficients, "a coefficient of an expression frame"),
        mode=message.mode,
        layers=tuple(message.layers),
        picture_stamp_ns=optional_stamp(message.picture_stamp),
        sound_stamp_ns=optional_stamp(message.sound_stamp),
        reaction_picture_stamp_ns=optional_stamp(message.reaction_picture_stamp),
        reaction_sound_stamp_ns=optional_stamp(message.reaction_sound_stamp),
    )


def fill_control(message: M, control: ListenerControl, stamp_ns: int = 0) -> M:
    """ListenerControl into its message."""
    fill_header(message.header, stamp_ns)
    message.style = control.style
    for name in RANGES:
        setattr(message, _CONTROL_FIELDS.get(name, name), float(getattr(control, name)))
    return message


def control_value(message: Any) -> ListenerControl:
    """The message to ListenerControl; NaN and UNCHANGED leave a setting. Raises MessageError for infinities."""
    values = {name: float(getattr(message, _CONTROL_FIELDS.get(name, name))) for name in RANGES}
    for name, value in values.items():
        if math.isinf(value):
            raise MessageError(f"{name} of a listener control is infinite")
    return ListenerControl(**{n: math.nan if v == UNCHANGED else v for n, v in values.items()}, style=message.style)


def gesture_value(message: Any) -> tuple[str, float]:
    """Name (lower case, words joined by underscores) and strength of a gesture.

    Raises:
        MessageError: the strength is not 0 to 2.
    """
    strength = float(message.strength)
    if not 0.0 <= strength <= 2.0:
        raise MessageError(f"a gesture's strength cannot be {strength:g}", todo="give 0 to 2")
    return "_".join(message.name.lower().replace("-", " ").replace("_", " ").split()), strength


# The robot's own speech


def fill_mouth(message: M, mouth: Mouth) -> M:
    """Mouth into its message."""
    fill_header(message.header, mouth.start_ns)
    message.utterance = mouth.utterance
    message.frame_rate = float(mouth.rate_hz)
    message.frames = len(mouth.coefficients)
    message.coefficients = _flat(mouth.coefficients)
    message.closure, message.accent = _flat(mouth.closure), _flat(mouth.accent)
    message.level = _flat(mouth.level)
    return message


def mouth_value(message: Any) -> Mouth:
    """The message to Mouth, clipped to 0..1. Raises MessageError for sizes that do not fit or what is not finite."""
    frames, rate = int(message.frames), float(message.frame_rate)
    if not (math.isfinite(rate) and 10.0 <= rate <= 1000.0) or not 1 <= frames <= MAX_MOUTH_S * rate:
        raise MessageError(f"a mouth of {frames} frames at {rate:g} a second", todo=f"give at most {MAX_MOUTH_S:g} s")
    rows = [_finite(getattr(message, n), f"the {n} of a mouth") for n in ("coefficients", "closure", "accent", "level")]
    if [len(row) for row in rows] != [frames * len(MOUTH), frames, frames, frames]:
        raise MessageError(f"a mouth of {frames} frames carries {[len(row) for row in rows]} numbers")
    coefficients, closure, accent, level = (np.clip(row, 0.0, 1.0) for row in rows)
    start_ns = from_stamp(message.header.stamp)
    return Mouth(message.utterance, start_ns, coefficients.reshape(frames, -1), closure, accent, level, rate)


def fill_timing(message: M, timing: SpeechTiming) -> M:
    """SpeechTiming into its message."""
    fill_header(message.header, timing.start_ns)
    message.utterance, message.alphabet = timing.utterance, timing.alphabet
    message.symbols = list(timing.symbols)
    message.starts, message.ends = _flat(timing.starts_s), _flat(timing.ends_s)
    return message


def timing_value(message: Any) -> SpeechTiming:
    """The message to SpeechTiming. Raises MessageError for an unknown alphabet or times that cannot be."""
    if message.alphabet not in get_args(Alphabet):
        raise MessageError(f"speech timing in {message.alphabet!r:.40}", todo=f"give {', '.join(get_args(Alphabet))}")
    starts, ends = (_finite(row, "a time of speech timing") for row in (message.starts, message.ends))
    symbols = tuple(message.symbols)
    if not len(symbols) == len(starts) == len(ends) <= MAX_SYMBOLS:
        raise MessageError(f"speech timing of {len(symbols)} symbols has {len(starts)} starts and {len(ends)} ends")
    if (starts < 0.0).any() or (ends < starts).any() or (np.diff(starts) < 0.0).any():
        raise MessageError("speech timing has times that do not rise", todo="give each symbol its start before its end")
    return SpeechTiming(message.utterance, from_stamp(message.header.stamp), message.alphabet, symbols, starts, ends)


def fill_speech_state(message: M, state: SpeechState) -> M:
    """SpeechState into its message."""
    fill_header(message.header, state.stamp_ns)
    message.phase, message.utterance, message.text = state.phase, state.utterance, state.text
    fill_stamp(message.start, state.start_ns)
    fill_stamp(message.end, state.end_ns)
    message.emotion, message.intensity = state.emotion, float(state.intensity)
    return message


def speech_state_value(message: Any) -> SpeechState:
    """The message to SpeechState. Raises MessageError for an unknown phase or emotion."""
    if message.phase not in get_args(SpeechPhase):
        raise MessageError(f"unknown phase {message.phase!r:.40} of a speech state")
    if message.emotion not in EXPRESSION_CLASSES:
        raise MessageError(f"unknown emotion {message.emotion!r:.40} of a speech state")
    return SpeechState(
        stamp_ns=from_stamp(message.header.stamp),
        phase=message.phase,
        utterance=message.utterance,
        text=message.text,
        start_ns=optional_stamp(message.start),
        end_ns=optional_stamp(message.end),
        emotion=message.emotion,
        intensity=min(max(_number(message.intensity, "the intensity of a speech state"), 0.0), 2.0),
    )


# Turns


_SIGNALS: Final = ("p_speaking", "p_eot", "p_now", "p_future", "p_backchannel", "p_user_starts", "p_barge_in")


def fill_turn_signals(message: M, signals: TurnSignals) -> M:
    """TurnSignals into its message."""
    fill_header(message.header, signals.stamp_ns)
    for name in _SIGNALS:
        setattr(message, name, float(getattr(signals, name)))
    message.silence = float(signals.silence_s)
    fill_stamp(message.picture_stamp, signals.picture_stamp_ns)
    fill_stamp(message.sound_stamp, signals.sound_stamp_ns)
    message.model = signals.model
    return message


def turn_signals_value(message: Any) -> TurnSignals:
    """The message to TurnSignals. Raises MessageError for a probability outside 0..1 (NaN is allowed)."""
    values = {name: float(getattr(message, name)) for name in _SIGNALS}
    for name, value in values.items():
        if not (math.isnan(value) or 0.0 <= value <= 1.0):
            raise MessageError(f"{name} of turn signals is {value:g}, outside 0 to 1")
    return TurnSignals(
        stamp_ns=from_stamp(message.header.stamp),
        **values,
        silence_s=float(message.silence),
        picture_stamp_ns=optional_stamp(message.picture_stamp),
        sound_stamp_ns=optional_stamp(message.sound_stamp),
        model=message.model,
    )


def fill_turn_event(message: M, event: TurnEvent) -> M:
    """TurnEvent into its message."""
    fill_header(message.header, event.stamp_ns)
    message.kind, message.confidence, message.utterance = event.kind, float(event.confidence), event.utterance
    return message


def turn_event_value(message: Any) -> TurnEvent:
    """The message to TurnEvent. Raises MessageError for an unknown kind."""
    if message.kind not in get_args(TurnEventKind):
        raise MessageError(f"unknown turn event {message.kind!r:.40}")
    confidence = _number(message.confidence, "the confidence of a turn event")
    return TurnEvent(from_stamp(message.header.stamp), message.kind, confidence, message.utterance)


# People


def fill_people(message: M, people: People, make_person: Callable[[], Any]) -> M:
    """People into its message; `make_person` makes an empty Person message."""
    fill_header(message.header, people.stamp_ns, people.frame_id)
    message.target, message.robot_addressed = people.target, float(people.robot_addressed)
    message.persons = [_filled_person(make_person(), person) for person in people.persons]
    return message


def _filled_person(message: M, person: PersonSeen) -> M:
    message.person_id = person.person_id
    if person.position_m is not None:
        message.position_observed = True
        _fill_point(message.position, person.position_m)
    message.speaking, message.attention = float(person.speaking), float(person.attention)
    message.addressed = float(person.addressed)
    return message


def people_value(message: Any) -> People:
    """The message to People. Raises MessageError for what is not finite."""
    return People(
        stamp_ns=from_stamp(message.header.stamp),
        persons=tuple(_person_value(person) for person in message.persons),
        target=int(message.target),
        robot_addressed=_number(message.robot_addressed, "robot_addressed of people"),
        frame_id=message.header.frame_id,
    )


def _person_value(message: Any) -> PersonSeen:
    p = message.position
    return PersonSeen(
        person_id=int(message.person_id),
        position_m=_finite((p.x, p.y, p.z), "the position of a person") if message.position_observed else None,
        speaking=_number(message.speaking, "speaking of a person"),
        attention=_number(message.attention, "attention of a person"),
        addressed=_number(message.addressed, "addressed of a person"),
    )
