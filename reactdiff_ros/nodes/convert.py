"""Values of the rooms as rclpy's messages; back, and the fields of both: `reactdiff_ros.messages`."""

from __future__ import annotations

from builtin_interfaces.msg import Time
from geometry_msgs.msg import PointStamped
from std_msgs.msg import Header

from reactdiff_ros import messages, msg
from reactdiff_ros.messages import (
    candidates_value,
    control_value,
    expression_value,
    from_stamp,
    gaze_value,
    gesture_value,
    optional_stamp,
    reaction_value,
    sound_value,
    speaker_value,
    voice_value,
)
from reactdiff_ros.types import ExpressionFrame, GazeTarget, ListenerControl, Reaction, Sound, SpeakerFrame, Voice

__all__ = [
    "audio_message",
    "candidates_message",
    "candidates_value",
    "control_message",
    "control_value",
    "expression_message",
    "expression_value",
    "from_stamp",
    "gaze_message",
    "gaze_value",
    "gesture_value",
    "header",
    "optional_stamp",
    "reaction_message",
    "reaction_value",
    "sound_value",
    "speaker_message",
    "speaker_value",
    "to_stamp",
    "voice_message",
    "voice_value",
]


def to_stamp(ns: int | None) -> Time:
    """Nanoseconds (None: zero) to a Time."""
    stamp = Time()
    messages.fill_stamp(stamp, ns)
    return stamp


def header(stamp_ns: int, frame_id: str = "") -> Header:
    """A Header."""
    return Header(stamp=to_stamp(stamp_ns), frame_id=frame_id)


def audio_message(sound: Sound, frame_id: str) -> msg.AudioChunk:
    """Sound to AudioChunk."""
    message = msg.AudioChunk()
    messages.fill_audio(message, sound, frame_id)
    return message


def speaker_message(frame: SpeakerFrame) -> msg.SpeakerFrame:
    """SpeakerFrame to its message."""
    message = msg.SpeakerFrame()
    messages.fill_speaker(message, frame)
    return message


def voice_message(voice: Voice) -> msg.Voice:
    """Voice to its message."""
    message = msg.Voice()
    messages.fill_voice(message, voice)
    return message


def gaze_message(target: GazeTarget) -> PointStamped:
    """GazeTarget to PointStamped."""
    message = PointStamped()
    messages.fill_gaze(message, target)
    return message


def reaction_message(reaction: Reaction) -> msg.Reaction:
    """Reaction to its message."""
    message = msg.Reaction()
    messages.fill_reaction(message, reaction)
    return message


def candidates_message(reaction: Reaction) -> msg.ReactionCandidates:
    """The candidates of a Reaction. Raises ValueError when it carries none."""
    message = msg.ReactionCandidates()
    messages.fill_candidates(message, reaction)
    return message


def expression_message(frame: ExpressionFrame) -> msg.ExpressionFrame:
    """ExpressionFrame to its message."""
    message = msg.ExpressionFrame()
    messages.fill_expression(message, frame)
    return message


def control_message(control: ListenerControl, stamp_ns: int = 0) -> msg.ListenerControl:
    """ListenerControl to its message."""
    message = msg.ListenerControl()
    messages.fill_control(message, control, stamp_ns)
    return message
