"""Recordings of people as training and evaluation data: the live path run over media files, kept on the 25 Hz grid.

Pictures and sound go through the same session and the same perception as live; what the listener's grid would hold in
each 40 ms slot is what is written. So a file of `reactdiff extract` is what a model hears and sees on the robot.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from reactdiff_ros.clock import NS, Grid
from reactdiff_ros.errors import MediaError
from reactdiff_ros.model.diffusion.conditions import STYLE_NAMES
from reactdiff_ros.model.diffusion.tokens import blank
from reactdiff_ros.model.speaker.grid import Track, onto_grid
from reactdiff_ros.model.style import SHORTEST_S, style_of
from reactdiff_ros.perception import SpeakerPerception
from reactdiff_ros.perception.voice import VoiceExtractor
from reactdiff_ros.recordings.datasets.recording import filled_in
from reactdiff_ros.recordings.datasets.recordings import Extracted
from reactdiff_ros.recordings.replay.senses import Recording, Steady, sense
from reactdiff_ros.session import Perception, SessionConfig
from reactdiff_ros.types import REACTION_RATE_HZ, FloatArray, Sound, SpeakerFrame, Voice

_GRID: Final = Grid()
_AFTER_NS: Final = NS // 2
"""The session runs on this long after the last item, so that everything waiting is perceived."""
CONFIDENT: Final = 0.3
"""From this confidence on, a perceived coefficient counts as measured."""
APART_S: Final = 1.0
_FRESH_SLOTS: Final = 1
"""A listener's slot without its own picture may repeat the one before (24 pictures a second), not more."""


def extract_source(
    clip: Recording, perception: Perception, progress: Callable[[float], None] = lambda share: None
) -> Track:
    """One media file or bag on the grid. Stamps are the source's own: a file begins at 0.

    Args:
        clip: what is read.
        perception: reset first.
        progress: takes the share done.

    Raises:
        MediaError: nothing of it can be decoded or perceived, or its time jumps.
    """
    steady, frames = Steady(), list[SpeakerFrame]()
    first_ns = None
    items = steady.of(clip.pictures_and_sound())
    for sensed in sense(items, perception, SessionConfig(), after_ns=_AFTER_NS, timer=time.perf_counter):
        frames.extend(frame for result in sensed.results for frame in result.frames)
        first_ns = sensed.event.offset_ns if first_ns is None else first_ns
        progress((sensed.event.offset_ns - first_ns) / NS / max(clip.duration_s, 0.01))
    if steady.jump_s:
        what = f"time jumps by {steady.jump_s:.1f} s within the recording"
        raise MediaError(what, where=str(clip.path), todo="cut it there into two")
    if not frames:
        raise MediaError("the clip is too short: nothing was perceived in it", where=str(clip.path))
    return onto_grid(frames)


def alone(track: Track, clip: Recording) -> Extracted:
    """A speaker without a listener."""
    name = clip.path.stem
    about = {"files": [clip.path.name], **_shares(track), "sound": clip.has_sound}
    return Extracted(name, "0", "nobody", track.batch, track.stamps_ns, about=about)


def together(speaker: tuple[Track, Recording], listener: tuple[Track, Recording], people: str = "") -> Extracted:
    """A speaker and the one who listened, filmed at the same time, over the slots that both have.

    The listener's coefficients are the perceived ones; observed are those with a confidence of 0.3 and more in a
    picture of this slot or the one before.

    Args:
        speaker: track and clip.
        listener: track and clip, from the same start.
        people: who the two are; by default their files' names. Folds are by it.

    Raises:
        MediaError: one view ends before the other begins.
    """
    (track, clip), (other, other_clip) = speaker, listener
    first, end = track.first, min(track.end, other.end)
    if end <= first:
        raise MediaError("the two views of a conversation share no time", where=f"{clip.path} and {other_clip.path}")
    about = {"files": [clip.path.name, other_clip.path.name], **_shares(track), "sound": clip.has_sound}
    values, observed = _listened(other, first, end)
    cut = slice(0, end - first)
    names = "-".join(sorted([clip.path.stem, other_clip.path.stem]))
    about["listener_observed"] = round(float(observed.mean()), 4)
    who = (people or names, names, other_clip.path.stem)
    return Extracted(*who, track.batch.at(cut), track.stamps_ns[cut], values, observed, about)


def unlike_in_length(speaker: Track, listener: Track) -> str:
    """A sentence if two views of a conversation end over APART_S apart, else empty."""
    later_s = (listener.end - speaker.end) / REACTION_RATE_HZ
    if abs(later_s) <= APART_S:
        return ""
    when = "after" if later_s > 0 else "before"
    return f"the listener's recording ends {abs(later_s):.1f} s {when} the speaker's: are they of one conversation?"


def _listened(track: Track, first: int, end: int) -> tuple[FloatArray, NDArray[np.bool_]]:
    batch = track.batch
    seen = (batch.confidence[0] >= CONFIDENT) & batch.mesh[0][:, None] & (track.age <= _FRESH_SLOTS)[:, None]
    values = np.where(seen, batch.coefficients[0], 0.0).astype(np.float32)
    lead = max(0, track.first - first)
    cut = slice(max(0, first - track.first), end - track.first)
    pad = ((lead, 0), (0, 0))
    return np.pad(values[cut], pad), np.pad(seen[cut], pad)


def _shares(track: Track) -> dict[str, float]:
    shares = {"face": track.batch.mesh, "voice": track.batch.microphone, "speaking": track.batch.speaking}
    return {name: round(float(values.mean()), 4) for name, values in shares.items()}


def hearing(samples: NDArray[np.int16], rate_hz: int) -> Callable[[int], tuple[Voice, int] | None]:
    """What the real extractor, given the sound (n, channels) in chunks of 20 ms, says at times (ns) that only rise.

    Raises:
        WeightsError: the voice activity network is missing.
    """
    extractor, step, pushed = VoiceExtractor(), max(1, rate_hz // 50), 0

    def heard_at(now_ns: int) -> tuple[Voice, int] | None:
        nonlocal pushed
        while pushed * NS // rate_hz < now_ns and pushed < len(samples):
            extractor.push(Sound(pushed * NS // rate_hz, rate_hz, samples[pushed : pushed + step]))
            pushed += step
        return extractor.latest(now_ns)

    return heard_at


def voice_columns(samples: NDArray[np.int16], rate_hz: int, frames: int) -> dict[str, NDArray[Any]]:
    """The voice's columns of SpeakerBatch, each (frames, ...), of the sound of a dataset's clip.

    Frame k is what was heard before k * 40 ms. Errors as `hearing`.
    """
    silence, heard_at = blank(frames), hearing(samples, rate_hz)
    out = {name: getattr(silence, name).copy() for name in _VOICE_FIELDS}
    for k in range(frames):
        heard = heard_at(_GRID.time_ns(k))
        if heard is not None:
            out["microphone"][k] = True
            for name in _VOICE_FIELDS[1:]:
                out[name][k] = getattr(heard[0], name)
    return out


_VOICE_FIELDS: Final = (
    "microphone", "speech_probability", "speaking", "mfcc", "pitch_hz", "loudness_dbfs", "pause_s", "utterance_s",
)  # fmt: skip


LEAST_SEEN: Final = 0.6
"""Share of a clip in which a face must have been found."""
LEAST_CONFIDENT: Final = 0.5
"""Share of those frames in which a coefficient must be sure, to count as observed."""
SETTLING_S: Final = 2.0
"""The first seconds of a clip, in which perception learns the person's neutral face, are left out."""


@dataclass(frozen=True, slots=True)
class Reference:
    """How a person in a clip listens."""

    clip: str
    seconds: float
    """Of the clip in which the face was seen and measured."""
    values: tuple[float | None, ...]
    """In the order of STYLE_NAMES; None where the clip does not show it."""

    def as_dict(self) -> dict[str, float | None]:
        """The values by name."""
        return dict(zip(STYLE_NAMES, self.values, strict=True))


def learn_reference(clip: Recording, progress: Callable[[float], None] = lambda share: None) -> Reference:
    """Measure the person in a clip as a listener.

    Args:
        clip: with one person in it who listens.
        progress: takes the share done.

    Raises:
        MediaError: it cannot be read, is too short, or shows a face too seldom.
    """
    track = extract_source(clip, SpeakerPerception(), progress)
    coefficients, observed = seen_face(track, str(clip.path))
    values, given = style_of(coefficients[None], observed)
    style = tuple(round(float(v), 3) if g else None for v, g in zip(values[0], given[0], strict=True))
    if not any(g for g in given[0]):
        raise MediaError("nothing of the person's listening could be measured", where=str(clip.path))
    return Reference(clip.path.name, len(coefficients) / REACTION_RATE_HZ, style)


def seen_face(track: Track, where: str) -> tuple[FloatArray, NDArray[np.bool_]]:
    """The face (T, 58) of the person on the 25 Hz grid and which coefficients were observed (58,).

    Frames without a face are filled in between those around them.

    Raises:
        MediaError: the face was seen for less than SHORTEST_S, or in less than LEAST_SEEN of the time.
    """
    batch, first = track.batch, round(SETTLING_S * REACTION_RATE_HZ)
    mesh = batch.mesh[0, first:]
    seen = np.flatnonzero(mesh)
    if len(seen) / REACTION_RATE_HZ < SHORTEST_S:
        found = len(seen) / REACTION_RATE_HZ
        todo = f"take a clip that shows the person's face for {SETTLING_S + SHORTEST_S:g} s and more, best a minute"
        raise MediaError(f"a face was measured for {found:.1f} s only", where=where, todo=todo)
    if len(seen) < LEAST_SEEN * len(mesh):
        what = f"a face was found in {len(seen) / len(mesh):.0%} of the clip only"
        raise MediaError(what, where=where, todo="cut the clip to where the person is seen")
    values = np.nan_to_num(batch.coefficients[0, first:])
    sure = np.nan_to_num(batch.confidence[0, first:])[seen] >= CONFIDENT
    span = slice(seen[0], seen[-1] + 1)
    filled = np.stack([filled_in(column, mesh[span]) for column in values[span].T], axis=1)
    return filled.astype(np.float32), sure.mean(0) >= LEAST_CONFIDENT
