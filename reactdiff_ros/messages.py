"""Values of the rooms <-> messages of ROS' interfaces, both ways without loss; what comes from outside is validated.

A message may be of any library that gives it the interface's field names: rclpy's classes, or those of `rosbags` where
there is no ROS. So this module imports neither: who has a library makes the empty message, and `fill*` fills it.
Fields have the names of the values' (`_NAMES` has the others) and are converted by the values' types, see `fill` and
`_read`. A stamp of zero in a message is None in a value: nothing of that kind was consumed. float32 arrays pass as
numpy arrays (fixed size) or `array.array` (variable size), the fast paths of rclpy.
"""

from __future__ import annotations

import array
import math
from collections.abc import Callable
from dataclasses import replace
from functools import cache
from typing import Any, Final, Literal, TypeVar, get_args, get_origin, get_type_hints

import numpy as np

from reactdiff_ros.settings import RANGES

from .clock import NS
from .coefficients import COEFFICIENT_COUNT, MOUTH
from .errors import MessageError
from .types import (
    EXPRESSION_CLASSES,
    MOST_CHANNELS,
    Affect,
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
    SpeechState,
    SpeechTiming,
    Turn,
    TurnEvent,
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
M = TypeVar("M", bound=Any)
"""A message class: `fill*` fill an empty message and return it."""
V = TypeVar("V")
"""A value of `types`."""
_NAMES: Final = {
    "rate_hz": "frame_rate", "commit_frames": "commit", "compute_s": "compute_time", "delay_s": "delay",
    "silence_s": "silence", "starts_s": "starts", "ends_s": "ends", "yaw_rad": "gaze_yaw", "pitch_rad": "gaze_pitch",
    "contact": "gaze_contact", "label": "expression", "probabilities": "expression_probabilities",
}  # fmt: skip
"""Fields of values whose field of the message is called otherwise: units are in its comments."""


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


def _finite(values: Any, what: str) -> FloatArray:
    """`values` as float32. Raises MessageError when one is not finite."""
    result = np.asarray(values, dtype=np.float32)
    if not np.isfinite(result).all():
        raise MessageError(f"{what} is not finite")
    return result


def _flat(values: FloatArray) -> array.array[float]:
    return array.array("f", np.ascontiguousarray(values, dtype=np.float32).tobytes())


def _converted(kind: type) -> tuple[tuple[str, str, Any], ...]:
    """Name, field of the message and type of what `fill` and `_read` convert: the rest (what may be None, values of
    other kinds) is their callers'.
    """
    found = []
    for name, hint in get_type_hints(kind).items():
        simple = hint in (int, float, bool, str, tuple[str, ...], FloatArray) or get_origin(hint) is Literal
        if simple or name.endswith("_ns"):
            found.append((name, _NAMES.get(name, name.removesuffix("_ns")), hint))
    return tuple(found)


_fields: Final[Callable[[type], tuple[tuple[str, str, Any], ...]]] = cache(_converted)


def fill(message: M, value: Any) -> M:
    """The fields of a value into those of a message: `*_ns: int` into its header, `*_ns: int | None` into Times."""
    for name, field, hint in _fields(type(value)):
        given = getattr(value, name)
        if name.endswith("_ns"):
            fill_stamp(message.header.stamp if hint is int else getattr(message, field), given)
        elif name == "frame_id":
            message.header.frame_id = given
        elif hint == FloatArray:
            fixed = isinstance(there := getattr(message, field), np.ndarray) and there.size
            setattr(message, field, given if fixed else _flat(given))
        elif hint in (int, float, bool):
            setattr(message, field, hint(given))  # which may be numpy's
        else:
            setattr(message, field, list(given) if hint == tuple[str, ...] else given)
    return message


def _read(kind: type[V], message: Any, what: str, **own: Any) -> V:
    """A value from the fields of a message, but for its `own`, which are given.

    A field that is missing, in an older bag, has the value's default.

    Raises:
        MessageError: a number is not finite, or a text is not one of its choices; the sentence is about `what`.
    """
    values = dict(own)
    for name, field, hint in _fields(kind):
        if name in own:
            continue
        if name.endswith("_ns"):
            ns = from_stamp(message.header.stamp if hint is int else getattr(message, field))
            values[name] = ns if hint is int else ns or None
        elif name == "frame_id":
            values[name] = message.header.frame_id
        elif hasattr(message, field):
            values[name] = _plain(getattr(message, field), hint, field, what)
    return kind(**values)


def _plain(found: Any, hint: Any, field: str, what: str) -> Any:
    if hint == FloatArray:
        return _finite(found, f"{field} of {what}")
    if hint is float and not math.isfinite(found):
        raise MessageError(f"{field} of {what} is not finite")
    if hint in (int, float, bool):
        return hint(found)
    if get_origin(hint) is Literal and found not in get_args(hint):
        raise MessageError(f"unknown {field} {found!r:.40} of {what}", todo=f"give {', '.join(get_args(hint))}")
    return tuple(found) if hint == tuple[str, ...] else found


def _fill_point(point: Any, metres: FloatArray) -> None:
    point.x, point.y, point.z = (float(v) for v in metres)


def _point(point: Any, what: str) -> FloatArray:
    return _finite((point.x, point.y, point.z), what)


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
    samples = np.frombuffer(message.samples, dtype=np.int16)
    sound = pcm_sound(from_stamp(message.header.stamp), int(message.sample_rate), int(message.channels), samples)
    return replace(sound, clean=True) if message.header.frame_id.endswith(CLEAN) else sound


def pcm_sound(stamp_ns: int, rate_hz: int, channels: int, samples: np.ndarray[Any, np.dtype[np.int16]]) -> Sound:
    """Interleaved samples as Sound. Raises MessageError for a rate, channel count or length that cannot be."""
    if not 8000 <= rate_hz <= 192000:
        raise MessageError(f"sound of {rate_hz} Hz", todo="give 8000 to 192000 Hz")
    if not 1 <= channels <= MOST_CHANNELS:
        raise MessageError(f"sound of {channels} channels", todo=f"give 1 to {MOST_CHANNELS}")
    if len(samples) % channels:
        raise MessageError(f"{len(samples)} samples are not a multiple of {channels} channels")
    if len(samples) // channels > rate_hz:
        raise MessageError("more than one second of sound in one message")
    return Sound(stamp_ns=stamp_ns, rate_hz=rate_hz, samples=samples.reshape(-1, channels))


# Speaker


def fill_speaker(message: M, frame: SpeakerFrame) -> M:
    """SpeakerFrame into its message."""
    fill(message, frame)
    if frame.gaze is not None:
        message.gaze_observed = True
        fill(message, frame.gaze)
    if frame.position_m is not None:
        message.position_observed = True
        _fill_point(message.position, frame.position_m)
    if frame.affect is not None:
        message.affect_observed = True
        fill(message, frame.affect)
    if frame.voice is not None:
        message.voice.observed = True
        fill(message.voice, frame.voice)
    return message


def speaker_value(message: Any) -> SpeakerFrame:
    """The message to SpeakerFrame. Raises MessageError for what is not finite or not possible."""
    what = "a speaker frame"
    frame = _read(
        SpeakerFrame, message, what,
        gaze=_read(Gaze, message, what) if message.gaze_observed else None,
        position_m=_point(message.position, f"the position of {what}") if message.position_observed else None,
        affect=_affect_value(message, what) if message.affect_observed else None,
        voice=voice_value(message.voice) if message.voice.observed else None,
    )  # fmt: skip
    if frame.confidence.min() < 0.0 or frame.confidence.max() > 1.0:
        raise MessageError(f"the confidence of {what} is outside 0 to 1")
    return frame


def _affect_value(message: Any, what: str) -> Affect:
    if message.expression not in EXPRESSION_CLASSES:
        raise MessageError(f"unknown expression {message.expression!r:.40} of {what}")
    affect = _read(Affect, message, what)
    missing = len(EXPRESSION_CLASSES) - len(affect.probabilities)  # older bags have no contempt
    return replace(affect, probabilities=np.pad(affect.probabilities, (0, max(missing, 0))))


def voice_value(message: Any) -> Voice:
    """The message to Voice. Raises MessageError for what is not finite; a pause may be NaN (no one has spoken yet)."""
    if math.isinf(message.pause_s):
        raise MessageError("the pause of a voice is not finite")
    return _read(Voice, message, "a voice", pause_s=float(message.pause_s))


def fill_gaze(message: M, target: GazeTarget) -> M:
    """GazeTarget into a PointStamped."""
    fill_header(message.header, target.stamp_ns, target.frame_id)
    _fill_point(message.point, target.position_m)
    return message


def gaze_value(message: Any) -> GazeTarget:
    """PointStamped to GazeTarget. Raises MessageError for what is not finite."""
    return _read(GazeTarget, message, "", position_m=_point(message.point, "a gaze target"))


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
    norm = math.hypot(w, x, y, z)
    if not all(map(math.isfinite, (p.x, p.y, p.z))) or not 0.9 < norm < 1.1:  # a NaN is not between them
        raise MessageError("a pose of the head is not finite, or its rotation is not a unit quaternion")
    w, x, y, z = w / norm, x / norm, y / norm, z / norm
    pitch = math.asin(min(max(2 * (w * y - z * x), -1.0), 1.0))
    yaw = math.atan2(2 * (w * z + x * y), 1 - 2 * (y * y + z * z))
    roll = math.atan2(2 * (w * x + y * z), 1 - 2 * (x * x + y * y))
    pose = np.array([pitch, yaw, roll, p.y, p.z, p.x], dtype=np.float32)
    return HeadPose(from_stamp(message.header.stamp), pose)


def fill_reaction(message: M, reaction: Reaction) -> M:
    """Reaction into its message."""
    fill(message, reaction)
    message.horizon = len(reaction.coefficients)
    message.candidate_count = 1 if reaction.candidates is None else len(reaction.candidates)
    return message


def reaction_value(message: Any) -> Reaction:
    """The message to Reaction (without the other candidates). Raises MessageError for a plan that cannot be."""
    horizon, what = int(message.horizon), "a reaction"
    if not 1 <= horizon <= MAX_HORIZON or len(message.coefficients) != horizon * COEFFICIENT_COUNT:
        raise MessageError(
            f"{what} of {horizon} frames carries {len(message.coefficients)} numbers",
            todo=f"give 1 to {MAX_HORIZON} frames of {COEFFICIENT_COUNT}",
        )
    if not 1.0 <= message.frame_rate <= 1000.0:
        raise MessageError(f"{what} of {message.frame_rate} frames a second")
    if not 1 <= message.commit <= horizon:
        raise MessageError(f"{what} of {horizon} frames commits {message.commit}")
    coefficients = _finite(message.coefficients, f"a coefficient of {what}").reshape(horizon, COEFFICIENT_COUNT)
    turn = message.turn if message.turn in get_args(Turn) else "listening"
    return _read(Reaction, message, what, coefficients=coefficients, turn=turn)


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
    if not 0.0 < message.frame_rate < math.inf:
        raise MessageError(f"candidates of {message.frame_rate} frames a second")
    if message.chosen >= count:
        raise MessageError(f"candidate {message.chosen} of {count} was chosen")
    values = _finite(message.coefficients, "a coefficient of a candidate")
    return values.reshape(count, horizon, COEFFICIENT_COUNT), int(message.chosen)


def explanation_value(message: Any) -> Explanation:
    """The message to Explanation. Raises MessageError where its lists do not fit."""
    found = _read(Explanation, message, "an explanation")
    lengths = [len(row) for row in (found.smile, found.brows, found.nods_per_min)]
    if not found.cues or set(lengths) != {len(found.cues)}:
        raise MessageError(f"an explanation of {len(found.cues)} cues has {lengths} values")
    return found


def expression_value(message: Any) -> ExpressionFrame:
    """The message to ExpressionFrame. Raises MessageError for what is not finite or an unknown mode."""
    return _read(ExpressionFrame, message, "an expression frame")


def fill_control(message: M, control: ListenerControl, stamp_ns: int = 0) -> M:
    """ListenerControl into its message."""
    fill_header(message.header, stamp_ns)
    return fill(message, control)


def control_value(message: Any) -> ListenerControl:
    """The message to ListenerControl; NaN and UNCHANGED leave a setting. Raises MessageError for infinities."""
    values = {name: float(getattr(message, _NAMES.get(name, name))) for name in RANGES}
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
    fill(message, mouth)
    message.frames = len(mouth.coefficients)
    return message


def mouth_value(message: Any) -> Mouth:
    """The message to Mouth, clipped to 0..1. Raises MessageError for sizes that do not fit or what is not finite."""
    frames, rate = int(message.frames), float(message.frame_rate)
    if not 10.0 <= rate <= 1000.0 or not 1 <= frames <= MAX_MOUTH_S * rate:
        raise MessageError(f"a mouth of {frames} frames at {rate:g} a second", todo=f"give at most {MAX_MOUTH_S:g} s")
    mouth = _read(Mouth, message, "a mouth")
    rows = [mouth.coefficients, mouth.closure, mouth.accent, mouth.level]
    if [len(row) for row in rows] != [frames * len(MOUTH), frames, frames, frames]:
        raise MessageError(f"a mouth of {frames} frames carries {[len(row) for row in rows]} numbers")
    coefficients, closure, accent, level = (np.clip(row, 0.0, 1.0) for row in rows)
    shape = coefficients.reshape(frames, -1)
    return replace(mouth, coefficients=shape, closure=closure, accent=accent, level=level)


def timing_value(message: Any) -> SpeechTiming:
    """The message to SpeechTiming. Raises MessageError for an unknown alphabet or times that cannot be."""
    timing = _read(SpeechTiming, message, "speech timing")
    symbols, starts, ends = timing.symbols, timing.starts_s, timing.ends_s
    if not len(symbols) == len(starts) == len(ends) <= MAX_SYMBOLS:
        raise MessageError(f"speech timing of {len(symbols)} symbols has {len(starts)} starts and {len(ends)} ends")
    if (starts < 0.0).any() or (ends < starts).any() or (np.diff(starts) < 0.0).any():
        raise MessageError("speech timing has times that do not rise", todo="give each symbol its start before its end")
    return timing


def speech_state_value(message: Any) -> SpeechState:
    """The message to SpeechState. Raises MessageError for an unknown phase or emotion."""
    state = _read(SpeechState, message, "a speech state")
    if state.emotion not in EXPRESSION_CLASSES:
        raise MessageError(f"unknown emotion {state.emotion!r:.40} of a speech state")
    return replace(state, intensity=min(max(state.intensity, 0.0), 2.0))


# Turns


_SIGNALS: Final = tuple(name for name in TurnSignals.__slots__ if name.startswith("p_"))


def turn_signals_value(message: Any) -> TurnSignals:
    """The message to TurnSignals. Raises MessageError for a probability outside 0..1 (NaN is allowed)."""
    values = {name: float(getattr(message, name)) for name in _SIGNALS}
    for name, value in values.items():
        if not (math.isnan(value) or 0.0 <= value <= 1.0):
            raise MessageError(f"{name} of turn signals is {value:g}, outside 0 to 1")
    return _read(TurnSignals, message, "turn signals", **values, silence_s=float(message.silence))


def turn_event_value(message: Any) -> TurnEvent:
    """The message to TurnEvent. Raises MessageError for an unknown kind."""
    return _read(TurnEvent, message, "a turn event")


# People


def fill_people(message: M, people: People, make_person: Callable[[], Any]) -> M:
    """People into its message; `make_person` makes an empty Person message."""
    fill(message, people)
    message.persons = [fill(make_person(), person) for person in people.persons]
    for filled, person in zip(message.persons, people.persons, strict=True):
        if person.position_m is not None:
            filled.position_observed = True
            _fill_point(filled.position, person.position_m)
    return message


def people_value(message: Any) -> People:
    """The message to People. Raises MessageError for what is not finite."""
    return _read(People, message, "people", persons=tuple(map(_person_value, message.persons)))


def _person_value(message: Any) -> PersonSeen:
    position = _point(message.position, "the position of a person") if message.position_observed else None
    return _read(PersonSeen, message, "a person", position_m=position)
