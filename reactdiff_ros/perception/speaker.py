"""Perception as one object: pictures and sound in, one `SpeakerFrame` for each picture out."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from reactdiff_ros import coefficients as c
from reactdiff_ros.clock import NS, Grid, StampGuard, to_ns
from reactdiff_ros.errors import MessageError
from reactdiff_ros.perception.config import PerceptionConfig
from reactdiff_ros.perception.microphones import MicrophonePair
from reactdiff_ros.perception.nets import REGION_MARGIN, FaceNets, to_rgb
from reactdiff_ros.perception.people import PeopleInView
from reactdiff_ros.perception.person import Camera
from reactdiff_ros.perception.tracking import TargetChooser, Track, Tracker
from reactdiff_ros.types import GazeTarget, People, Picture, Sound, SpeakerFrame, Voice

if TYPE_CHECKING:
    from reactdiff_ros.perception.voice import VoiceExtractor

PICTURE_TIMEOUT_NS = NS // 10
ROBOT_LAPSES_NS = NS
ROBOT_TAIL_NS = NS // 2
_GRID = Grid(NS // 25)


class SpeakerPerception:
    """Who is talking to the robot and what their face and voice do. Causal, deterministic, for one thread.

    Args:
        config: settings.
        voice: the voice extractor; None makes a `VoiceExtractor` when the first sound arrives.
        nets: the face networks; None loads those that ship with the package.

    `dropped_pictures` counts pictures that came out of order.
    """

    def __init__(
        self,
        config: PerceptionConfig | None = None,
        *,
        voice: VoiceExtractor | None = None,
        nets: FaceNets | None = None,
    ) -> None:
        self.config = config or PerceptionConfig()
        self._nets = nets or FaceNets()
        self._nets.warm_up()
        self._voice = voice
        self.dropped_pictures = 0
        self._tracker = Tracker(self.config, self._nets)
        self._chooser = TargetChooser(self.config)
        spacing_m, first_right = self.config.microphone_spacing_m, self.config.first_microphone_right
        self._microphones = MicrophonePair(spacing_m, first_right=first_right) if spacing_m > 0.0 else None
        self._company = PeopleInView(self._microphones)
        self._people: People | None = None
        self._pictures, self._sounds = StampGuard(), StampGuard()
        self._last: SpeakerFrame | None = None
        self._picture_ns: int | None = None
        self._size_px = (1, 1)
        self._slot: int | None = None
        self._robot_until_ns: int | None = None
        self._robot_speaks = False

    def warm_up(self) -> None:
        """Loads the voice activity network now, so that the first sound is not late. The face networks are loaded.

        Raises:
            WeightsError: the network is missing.
        """
        self._loaded_voice()

    def _loaded_voice(self) -> VoiceExtractor:
        if self._voice is None:
            from reactdiff_ros.perception.voice import VoiceExtractor  # its libraries take their time

            self._voice = VoiceExtractor()
        return self._voice

    def reset(self) -> None:
        """Back to the beginning: no person known, no sound heard. Person ids go on counting."""
        self._tracker.flush()
        self._chooser.flush()
        self._company.flush()
        self._people = None
        self._last = self._picture_ns = self._robot_until_ns = None
        self._robot_speaks = False
        self._pictures, self._sounds = StampGuard(), StampGuard()
        self._forget_sound()

    def _forget_sound(self) -> None:
        if self._voice is not None:
            self._voice.reset()
        if self._microphones is not None:
            self._microphones.reset()
        self._slot = None

    def robot_speaking(self, speaking: bool, now_ns: int) -> None:
        """The robot itself speaks (repeated; lapses after 1 s) or has ended.

        Unless its echo is cancelled (`Sound.clean`), the sound then, and 0.5 s after, does not show which of several
        people talks; the voice of the frames is what the microphone hears all the same.
        """
        if speaking or self._robot_speaks:
            self._robot_until_ns = now_ns + (ROBOT_LAPSES_NS if speaking else ROBOT_TAIL_NS)
        self._robot_speaks = speaking

    def observe_picture(self, picture: Picture) -> SpeakerFrame:
        """The speaker after this picture.

        A picture that is not newer than the one before is dropped: the last frame is returned once more. A jump back
        by more than 0.5 s begins a new time line: people, neutrals and voice are forgotten.

        Raises:
            MessageError: when the array is no picture (the picture is dropped).
        """
        rgb, scale = to_rgb(picture.bgr, self.config.max_side_px, self.config.mirror)
        verdict = self._pictures.check(picture.stamp_ns)
        if verdict == "late" and self._last is not None:
            self.dropped_pictures += 1
            return self._last
        if verdict == "jump":
            self.reset()
            self._pictures.check(picture.stamp_ns)
        stamp = picture.stamp_ns
        self._picture_ns, self._slot = stamp, None
        voice = None if self._voice is None else self._voice.latest(stamp)
        self._tracker.update(stamp, rgb, self._chooser.target)
        height, width = rgb.shape[:2]
        self._size_px = (width, height)
        camera = Camera((width, height), self._focal_px(picture, width, scale))
        for track in self._tracker.tracks:
            self._read(track, stamp, camera)
        own = self._robot_until_ns is not None and stamp <= self._robot_until_ns and not (voice and voice[0].clean)
        target = self._choose(stamp, None if voice is None else voice[0], own, camera.focal_px)
        self._people = self._company.people(picture.frame_id, self._chooser.target)
        self._last = _frame(picture, target, voice)
        return self._last

    def observe_sound(self, sound: Sound) -> list[SpeakerFrame]:
        """Takes a chunk of sound. While no picture came for 100 ms, returns voice-only frames on a 25 Hz grid.

        A chunk that begins before the last one is dropped; a jump back by more than 0.5 s restarts the voice.

        Raises:
            MessageError: when the chunk is no sound (it is dropped).
        """
        if sound.rate_hz <= 0 or sound.samples.ndim != 2 or sound.samples.dtype != np.int16:
            raise MessageError("sound must be int16 of shape samples x channels with a rate above 0", where="audio")
        if len(sound.samples) == 0:
            return []
        verdict = self._sounds.check(sound.stamp_ns)
        if verdict == "late":
            return []
        voice = self._loaded_voice()
        if verdict == "jump":
            self._forget_sound()
            if self._picture_ns is not None and self._picture_ns - sound.end_ns > NS // 2:
                self._picture_ns = None
        if self._microphones is not None:
            self._microphones.push(sound)
        if self._picture_ns is not None and sound.end_ns - self._picture_ns <= PICTURE_TIMEOUT_NS:
            voice.push(sound)
            return []
        return self._voice_frames(sound, voice)

    @property
    def expression_features(self) -> NDArray[np.float64] | None:
        """What the target's expression was read from in the last picture, see `expression.features`; for training."""
        tracks = [t for t in self._tracker.tracks if t.person_id == self._chooser.target]
        return tracks[0].person.features if tracks and tracks[0].points is not None else None

    @property
    def digitally_silent(self) -> bool:
        """Not one sample differed from 0 in the last second of sound: a muted or dead microphone."""
        return self._voice is not None and self._voice.digitally_silent

    @property
    def clipping(self) -> float:
        """Share of the samples of about the last second of sound that are at full scale."""
        return 0.0 if self._voice is None else self._voice.clipping

    def select(self, person_id: int, lock: bool) -> bool:
        """Makes a person the target, locked until they leave if `lock`; -1 gives the choice back to perception."""
        return self._chooser.select(person_id, lock, self.persons())

    @property
    def people(self) -> People | None:
        """Who was in view in the last picture, without passers-by; None before the first picture."""
        return self._people

    def persons(self) -> tuple[int, ...]:
        """Ids of the people who are there now, rising."""
        return tuple(t.person_id for t in self._tracker.tracks)

    def regions(self) -> dict[int, tuple[float, float, float, float]]:
        """The face of each person that the last picture showed, by id: left, top, right and bottom as shares of the
        picture's width and height, as it came (before `mirror`).
        """
        return {t.person_id: self._box(t) for t in self._tracker.tracks if t.shown}

    def _box(self, track: Track) -> tuple[float, float, float, float]:
        half = track.region.side / REGION_MARGIN / 2
        middle = np.array([track.region.x, track.region.y])
        corners = np.array([middle - half, middle + half]) if track.points is None else track.points[:, :2]
        left, top = (float(v) for v in np.clip(corners.min(axis=0) / self._size_px, 0.0, 1.0))
        right, bottom = (float(v) for v in np.clip(corners.max(axis=0) / self._size_px, 0.0, 1.0))
        return (1.0 - right, top, 1.0 - left, bottom) if self.config.mirror else (left, top, right, bottom)

    def _focal_px(self, picture: Picture, width: int, scale: float) -> float:
        focal = picture.focal_px
        if focal is not None and math.isfinite(focal) and focal > 0:
            return focal * scale
        return width / 2 / math.tan(math.radians(self.config.horizontal_fov_deg) / 2)

    def _read(self, track: Track, stamp_ns: int, camera: Camera) -> None:
        if track.points is not None:
            track.reading = track.person.read(stamp_ns, track.points, camera)
        if track.reading is not None:
            track.listen_to_mouth(stamp_ns, track.person.lip_gap)

    def _choose(self, stamp_ns: int, voice: Voice | None, own: bool, focal_px: float) -> Track | None:
        """The target: of those who are here, else of all who do not just pass by."""
        tracks = self._tracker.tracks
        self._company.observe(stamp_ns, tracks, voice, own, focal_px)
        wanted = [t for t in tracks if not self._company.passes_by(t)]
        here = tuple(t for t in wanted if t.person_id == self._chooser.target or self._company.here(t))
        return self._chooser.update(stamp_ns, here or tuple(wanted), self._company.speaking, self._size_px)

    def _voice_frames(self, sound: Sound, voice: VoiceExtractor) -> list[SpeakerFrame]:
        """Pushes sound up to each border of the grid and makes a frame there."""
        start_ns = sound.stamp_ns
        if self._slot is None:
            since = start_ns if self._picture_ns is None else max(start_ns, self._picture_ns + PICTURE_TIMEOUT_NS)
            self._slot = _GRID.slot(since) + 1
        frames: list[SpeakerFrame] = []
        begin = 0
        while _GRID.time_ns(self._slot) <= sound.end_ns:
            border = _GRID.time_ns(self._slot)
            end = min(len(sound.samples), max(begin, -((start_ns - border) * sound.rate_hz // NS)))
            _push_part(voice, sound, begin, end)
            begin = end
            heard = voice.latest(border)
            if heard is not None:
                person_id = self._chooser.target if self._seen_lately(border) else -1
                frames.append(replace(_faceless(border, heard), person_id=person_id))
            self._slot += 1
        _push_part(voice, sound, begin, len(sound.samples))
        return frames

    def _seen_lately(self, now_ns: int) -> bool:
        return self._picture_ns is not None and now_ns - self._picture_ns <= to_ns(self.config.lost_after_s)


def _faceless(stamp_ns: int, heard: tuple[Voice, int] | None) -> SpeakerFrame:
    """No one is seen; the voice and its stamp, where there is one."""
    voice, sound_ns = heard or (None, None)
    newest_ns = stamp_ns if sound_ns is None else max(stamp_ns, sound_ns)
    confidence = np.zeros(c.COEFFICIENT_COUNT, dtype=np.float32)
    return SpeakerFrame(
        newest_ns, None, sound_ns, -1, False, False, c.neutral(), confidence, 0.0, None, None, None, voice
    )


def _frame(picture: Picture, target: Track | None, voice: tuple[Voice, int] | None) -> SpeakerFrame:
    frame = replace(_faceless(picture.stamp_ns, voice), picture_stamp_ns=picture.stamp_ns, frame_id=picture.frame_id)
    if target is None:
        return frame
    frame = replace(
        frame,
        person_id=target.person_id,
        face_present=target.shown,
        neutral_confidence=target.person.neutral.confidence,
    )
    reading = target.reading
    if reading is None:
        return frame
    return replace(
        frame,
        mesh_present=True,
        coefficients=reading.coefficients.astype(np.float32),
        confidence=reading.confidence.astype(np.float32),
        gaze=reading.gaze,
        position_m=reading.position_m.astype(np.float32),
        affect=reading.affect,
    )


def _push_part(voice: VoiceExtractor, sound: Sound, begin: int, end: int) -> None:
    if end > begin:
        stamp_ns = sound.stamp_ns + begin * NS // sound.rate_hz
        voice.push(replace(sound, stamp_ns=stamp_ns, samples=sound.samples[begin:end]))


def gaze_target(frame: SpeakerFrame) -> GazeTarget | None:
    """The midpoint of the speaker's eyes as the point to look at; None where it was not seen in this picture."""
    if frame.position_m is None or frame.picture_stamp_ns is None:
        return None
    return GazeTarget(frame.picture_stamp_ns, frame.position_m, frame.frame_id)
