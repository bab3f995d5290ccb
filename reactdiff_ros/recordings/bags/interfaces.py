"""ROS 2 interfaces without ROS: ours, read from msg/ as text, and the public ones; empty messages, CDR both ways."""

from __future__ import annotations

import array
from collections.abc import Callable
from functools import lru_cache
from typing import Any, Final

import numpy as np

from reactdiff_ros.errors import MessageError
from reactdiff_ros.resources import share_path

COMPRESSED: Final = "sensor_msgs/msg/CompressedImage"
RAW: Final = "sensor_msgs/msg/Image"
CHUNK: Final = "reactdiff_ros/msg/AudioChunk"
SPEAKER: Final = "reactdiff_ros/msg/SpeakerFrame"
REACTION: Final = "reactdiff_ros/msg/Reaction"
EXPRESSION: Final = "reactdiff_ros/msg/ExpressionFrame"
CANDIDATES: Final = "reactdiff_ros/msg/ReactionCandidates"
CONTROL: Final = "reactdiff_ros/msg/ListenerControl"
GESTURE: Final = "reactdiff_ros/msg/Gesture"
MOUTH: Final = "reactdiff_ros/msg/Mouth"
SPEECH_STATE: Final = "reactdiff_ros/msg/SpeechState"
TURN_SIGNALS: Final = "reactdiff_ros/msg/TurnSignals"
BOOL: Final = "std_msgs/msg/Bool"
POSE: Final = "geometry_msgs/msg/PoseStamped"
SAMPLES_STAMPED: Final = "audio_common_msgs/msg/AudioStamped"
BYTES_STAMPED: Final = "audio_common_msgs/msg/AudioDataStamped"
BYTES: Final = "audio_common_msgs/msg/AudioData"
BYTES_INFO: Final = "audio_common_msgs/msg/AudioInfo"

# Two packages share the name audio_common_msgs (capture/decode.py). A bag of humble does not carry its
# definitions, so these are: by ros-drivers/audio_common and by mgonzs13/audio_common.
_DRIVERS: Final = {
    BYTES: "uint8[] data",
    BYTES_STAMPED: "std_msgs/Header header\naudio_common_msgs/AudioData audio",
    BYTES_INFO: "uint8 channels\nuint32 sample_rate\nstring sample_format\nuint32 bitrate\nstring coding_format",
}
_SAMPLES: Final = {
    BYTES: "float32[] float32_data\nint32[] int32_data\nint16[] int16_data\nint8[] int8_data\nuint8[] uint8_data",
    BYTES_INFO: "int32 format\nint32 channels\nint32 rate\nint32 chunk",
    "audio_common_msgs/msg/Audio": "audio_common_msgs/AudioData audio_data\naudio_common_msgs/AudioInfo info",
    SAMPLES_STAMPED: "std_msgs/Header header\naudio_common_msgs/Audio audio",
}
_ARRAYS: Final = {"bool", "float32", "float64", *(f"{sign}int{bits}" for sign in ("", "u") for bits in (8, 16, 32, 64))}


@lru_cache(maxsize=1)
def own_names() -> tuple[str, ...]:
    """Names of all messages of this package, "reactdiff_ros/msg/Voice"."""
    return tuple(f"reactdiff_ros/msg/{path.stem}" for path in sorted(share_path("msg").glob("*.msg")))


@lru_cache(maxsize=2)
def store(samples: bool = False) -> Any:
    """The type store of `rosbags` with jazzy's interfaces, this package's and ros-drivers' sound.

    `samples`: with the other package's sound instead, whose types have the same names.
    """
    from rosbags.typesys import Stores, get_types_from_msg, get_typestore

    typestore = get_typestore(Stores.ROS2_JAZZY)
    types: dict[str, Any] = {}
    for name in own_names():
        text = (share_path("msg") / f"{name.rpartition('/')[2]}.msg").read_text(encoding="utf-8")
        types.update(get_types_from_msg(text, name))
    for name, text in (_SAMPLES if samples else _DRIVERS).items():
        types.update(get_types_from_msg(text, name))
    typestore.register(types)
    return typestore


def empty(name: str) -> Any:
    """A message of the type `name` with zeros, empty texts and empty sequences, to be filled."""
    typestore = store()
    fields = typestore.fielddefs[name][1]
    return typestore.types[name](**{field: _zero(*definition) for field, definition in fields})


def _zero(kind: Any, detail: Any) -> Any:
    from rosbags.interfaces import Nodetype

    if kind == Nodetype.NAME:
        return empty(detail)
    if kind == Nodetype.BASE:
        base = detail[0]
        return "" if base in ("string", "wstring") else False if base == "bool" else 0.0 if "float" in base else 0
    (inner, what), length = detail
    count = length if kind == Nodetype.ARRAY else 0
    if inner == Nodetype.BASE and what[0] in _ARRAYS:
        return np.zeros(count, dtype=what[0])
    return [_zero(inner, what) for _ in range(count)]


def serialize(message: Any) -> bytes:
    """The CDR bytes of a message of `empty`. Raises MessageError where a value does not fit its field."""
    for field, value in vars(message).items():
        if isinstance(value, array.array):
            setattr(message, field, np.asarray(value))
    try:
        return bytes(store().serialize_cdr(message, message.__msgtype__))
    except Exception as error:  # struct, numpy and rosbags each raise their own
        raise MessageError(
            f"a message cannot be written ({type(error).__name__}: {error})", where=str(message.__msgtype__)
        ) from error


def deserializer(name: str, definition: str = "", idl: bool = False) -> Callable[[bytes], Any]:
    """A function from CDR bytes to a message of the type `name`.

    Args:
        name: "package/msg/Type".
        definition: the type's text as the bag carries it; it goes before the one that is known here.
        idl: the text is in OMG IDL.

    The function raises MessageError for bytes that are not such a message.

    Raises:
        MessageError: the type is unknown, and the bag does not carry its definition.
    """
    typestore = store_of(name, definition, idl)

    def read(raw: bytes) -> Any:
        try:
            return typestore.deserialize_cdr(raw, name)
        except Exception as error:
            raise MessageError("the message's bytes are not of its type", where=name) from error

    return read


@lru_cache(maxsize=256)
def store_of(name: str, definition: str = "", idl: bool = False) -> Any:
    """The type store that knows `name`, by its own definition or by what is known here. Errors as `deserializer`."""
    from rosbags.typesys import Stores, get_types_from_idl, get_types_from_msg, get_typestore

    if definition:
        try:
            own = get_typestore(Stores.EMPTY)
            own.register(get_types_from_idl(definition) if idl else get_types_from_msg(definition, name))
            own.get_msgdef(name)  # all parts are there
            return own
        except Exception:  # a definition that cannot be read: what is known here may do
            pass
    known = store(True) if name == SAMPLES_STAMPED else store()
    if name not in known.fielddefs:
        raise MessageError("the type is unknown, and the bag does not carry its definition", where=name)
    return known
