"""Who is there: faces followed over pictures, with identities that do not jump and are never given twice.

Two signals make a face: the detector (who is there at all, also far away) and the mesh (landmarks in a region that
follows the face). The mesh runs on every picture for at most `max_faces` people, the detector every few pictures and
whenever someone is missing. What only one of them believes in does not last: a new face must be detected for
`confirm_s`, and a mesh that the detector does not confirm is dropped after five times `lost_after_s`.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from reactdiff_ros.clock import to_ns
from reactdiff_ros.perception.config import PerceptionConfig
from reactdiff_ros.perception.nets import RGB, Detection, FaceNets, Region, region_of_landmarks
from reactdiff_ros.perception.person import Person
from reactdiff_ros.pictures import cut_out

Array = NDArray[np.float64]

_MAX_TRACKS = 8
_THUMBNAIL = 20
_ANCHORS = [33, 263, 152]
"""Landmarks: right and left eye, chin."""
_FROM_ANCHORS = np.linalg.inv([[0.2, 0.8, 0.5], [0.3, 0.3, 1.0], [1.0 / _THUMBNAIL] * 3]) / _THUMBNAIL
"""(3, 3): weights of the three for x, y and 1 of a pixel of the thumbnail, in which they have these places."""
_SCENE = (24, 18)
_SCENE_CUT = 0.5
"""Correlation of two pictures, less than 0.1 s apart, below which the whole scene is another (a cut in a film)."""


@dataclass(eq=False)
class Track:
    """A followed face. `points` are this picture's landmarks (478, 3) in px, None without a mesh."""

    person_id: int
    person: Person
    region: Region
    first_ns: int
    seen_ns: int
    detected_ns: int
    detected: bool = True
    points: Array | None = None
    confirmed: bool = False
    mouth_motion: float = 0.0
    """Motion of the lips, mean speed of their gap in eye distances a second over about 0.5 s."""
    thumbnail: Array | None = None
    thumbnail_ns: int = 0
    cut: bool = False
    """The scene changed and this face was not found again in the new one."""
    _gap: tuple[int, float] | None = field(default=None, repr=False)

    def looks_like(self, stamp_ns: int, thumbnail: Array, cut: bool) -> bool:
        """Whether `thumbnail` can be the same face now.

        Faces of one person correlate by 0.73 or more from picture to picture (measured on recordings), those of two
        people by less than 0.77 in nine of ten pairs. Without a cut no person is replaced within one picture.
        """
        if self.thumbnail is None:
            return True
        needed = 0.85 if cut else 0.2 if stamp_ns - self.thumbnail_ns < to_ns(0.1) else 0.35
        return float((self.thumbnail * thumbnail).mean()) >= needed

    def listen_to_mouth(self, stamp_ns: int, gap: float) -> None:
        """Updates `mouth_motion` from the lips' gap in eye distances."""
        if self._gap is not None and stamp_ns > self._gap[0]:
            dt = (stamp_ns - self._gap[0]) / 1e9
            share = 1.0 - float(np.exp(-dt / 0.5))
            self.mouth_motion += share * (abs(gap - self._gap[1]) / dt - self.mouth_motion)
        self._gap = (stamp_ns, gap)


class Tracker:
    """All followed faces. Ids count up and are never reused, also after `flush`."""

    def __init__(self, config: PerceptionConfig, nets: FaceNets) -> None:
        self._config, self._nets = config, nets
        self._tracks: list[Track] = []
        self._next_id = 1
        self._detector_ns: int | None = None
        self._scene: tuple[int, Array] | None = None
        self._cut = False

    @property
    def tracks(self) -> tuple[Track, ...]:
        """Confirmed people, those seen within `lost_after_s`."""
        return tuple(t for t in self._tracks if t.confirmed)

    def flush(self) -> None:
        """Forgets all people (a new time line)."""
        self._tracks.clear()
        self._detector_ns = self._scene = None

    def update(self, stamp_ns: int, rgb: RGB, first: int = -1) -> None:
        """Takes a picture. `first` is the id whose landmarks come first when there are more than `max_faces` faces."""
        self._watch_scene(stamp_ns, rgb)
        order = sorted(self._tracks, key=lambda t: (t.person_id != first, not t.confirmed, t.person_id))
        followed = order[: self._config.max_faces]
        due = self._detector_due(stamp_ns, followed)
        if due and followed:
            self._nets.begin_detection(rgb)
        for track in self._tracks:
            track.detected, track.points = False, None
        for track in followed:
            self._follow(track, stamp_ns, rgb, track.region)
        if due or any(track.points is None for track in followed):
            self._detector_ns = stamp_ns
            self._detect(stamp_ns, rgb, followed)
        self._settle(stamp_ns)

    def _watch_scene(self, stamp_ns: int, rgb: RGB) -> None:
        steps = np.array(rgb.shape[1::-1]) / _SCENE
        whole = np.column_stack([np.diag(steps), steps / 2 - 0.5])
        small = _standardised(cut_out(rgb, whole, _SCENE))
        last, self._scene = self._scene, (stamp_ns, small)
        near = last is not None and stamp_ns - last[0] < to_ns(0.1)
        self._cut = near and last is not None and float((last[1] * small).mean()) < _SCENE_CUT

    def _detector_due(self, stamp_ns: int, followed: list[Track]) -> bool:
        """Whether it has to run on this picture even if the mesh finds all people."""
        if self._detector_ns is None or not followed:
            return True
        if any(not t.confirmed or t.detected_ns < self._detector_ns for t in followed):
            return True
        return stamp_ns - self._detector_ns >= to_ns(self._config.detector_interval_s)

    def _follow(self, track: Track, stamp_ns: int, rgb: RGB, region: Region) -> None:
        points = self._nets.mesh(rgb, region)
        if points is None:
            return
        found = region_of_landmarks(points)
        shift = np.hypot(found.x - region.x, found.y - region.y) / max(region.side, 1.0)
        if shift > 0.5 or not 0.5 < found.side / max(region.side, 1.0) < 2.0:
            return
        thumbnail = _thumbnail(rgb, points)
        if not track.looks_like(stamp_ns, thumbnail, self._cut or track.cut):
            track.cut = track.cut or self._cut
            return
        track.points, track.region, track.cut = points, found, False
        track.thumbnail, track.thumbnail_ns = thumbnail, stamp_ns
        track.seen_ns = stamp_ns

    def _detect(self, stamp_ns: int, rgb: RGB, followed: list[Track]) -> None:
        free = list(self._tracks)
        for found in self._nets.detect(rgb, self._config.min_detection_score):
            track = min(free, key=lambda t: _distance(t.region, found.region), default=None)
            if track is None or _distance(track.region, found.region) > 0.4:
                self._begin(stamp_ns, rgb, found)
                continue
            free.remove(track)
            track.detected = True
            if track.points is None:
                if track in followed:
                    self._follow(track, stamp_ns, rgb, found.region)
                if track.points is None and not self._same(track, stamp_ns, rgb, found):
                    track.detected = False
                    continue
                if track.points is None:
                    track.region = found.region
            track.seen_ns = track.detected_ns = stamp_ns

    def _same(self, track: Track, stamp_ns: int, rgb: RGB, found: Detection) -> bool:
        """False when the mesh finds a face in `found` that does not look like `track`'s: someone else is there."""
        if track.thumbnail is None:
            return True
        points = self._nets.mesh(rgb, found.region)
        if points is None:
            return True
        return track.looks_like(stamp_ns, _thumbnail(rgb, points), track.cut)

    def _begin(self, stamp_ns: int, rgb: RGB, found: Detection) -> None:
        if len(self._tracks) >= _MAX_TRACKS:
            return
        track = Track(self._next_id, Person(self._config), found.region, stamp_ns, stamp_ns, stamp_ns)
        self._next_id += 1
        self._tracks.append(track)
        if sum(t.points is not None for t in self._tracks) < self._config.max_faces:
            self._follow(track, stamp_ns, rgb, found.region)

    def _settle(self, stamp_ns: int) -> None:
        lost, confirm = to_ns(self._config.lost_after_s), to_ns(self._config.confirm_s)
        kept: list[Track] = []
        for track in sorted(self._tracks, key=lambda t: (not t.confirmed, t.person_id)):
            patience = lost if track.confirmed else min(lost, confirm)
            if stamp_ns - track.seen_ns > patience or stamp_ns - track.detected_ns > 5 * lost:
                continue
            if any(_distance(track.region, other.region) < 0.25 for other in kept):
                continue
            if not track.confirmed and track.detected and stamp_ns - track.first_ns >= confirm:
                track.confirmed = True
            kept.append(track)
        self._tracks = sorted(kept, key=lambda t: t.person_id)


class TargetChooser:
    """Which of the followed people the robot listens to: one, with hysteresis.

    The target stays while they are there. Without a target the biggest face near the middle of the picture is chosen.
    Another person takes over when, for `switch_after_s`, someone speaks and it is clearly that person's mouth that
    moves. `select` overrides; a locked choice stays until that person is gone.
    """

    def __init__(self, config: PerceptionConfig) -> None:
        self._config = config
        self.target = -1
        self._locked = False
        self._rival: tuple[int, int] | None = None

    def flush(self) -> None:
        """Forgets the target and the lock."""
        self.target, self._locked, self._rival = -1, False, None

    def select(self, person_id: int, lock: bool, present: tuple[int, ...]) -> bool:
        """Makes `person_id` the target; -1 gives the choice back. False when no person has that id."""
        if person_id != -1 and person_id not in present:
            return False
        self._locked = lock and person_id != -1
        self._rival = None
        if person_id != -1:
            self.target = person_id
        return True

    def update(self, stamp_ns: int, tracks: tuple[Track, ...], speaking: bool, size: tuple[int, int]) -> Track | None:
        """The target among `tracks` for a picture of `size` (width, height)."""
        current = next((t for t in tracks if t.person_id == self.target), None)
        if current is None:
            self._locked, self._rival = False, None
            current = max(tracks, key=_prominence(size), default=None)
        elif not self._locked:
            current = self._follow_the_voice(stamp_ns, current, tracks, speaking)
        self.target = -1 if current is None else current.person_id
        return current

    def _follow_the_voice(self, stamp_ns: int, current: Track, tracks: tuple[Track, ...], speaking: bool) -> Track:
        talker = max(tracks, key=lambda t: t.mouth_motion)
        clear = talker.mouth_motion > max(_TALKING, 2.0 * current.mouth_motion)
        if talker is current or not speaking or not clear:
            self._rival = None
            return current
        if self._rival is None or self._rival[0] != talker.person_id:
            self._rival = (talker.person_id, stamp_ns)
        if stamp_ns - self._rival[1] < to_ns(self._config.switch_after_s):
            return current
        self._rival = None
        return talker


_TALKING = 0.3
"""Mouth motion of a person who talks, in eye distances a second.

Chosen on 21 recordings of speech (real3dportrait_may, sadtalker_wda, liveportrait_d20, spectre_mead, acted emotions of
dreamtalk) and 4 of silent people (liveportrait_d18 and s32, pyfeat_pexels and face_noface): the difference is largest
there. For a whole second, as a switch takes, motion stays above it in 93 % of the speech and 14 % of the silence, where
mouths open wide without a word. Area under the ROC curve .96; of the newest motion alone .90. How closely the motion
follows the voice's loudness over 2 s adds nothing (.61 alone; .86 becomes .85). The tests that choose between two
people use other recordings.
"""


def _prominence(size: tuple[int, int]) -> Callable[[Track], float]:
    def score(track: Track) -> float:
        off = abs(track.region.x / size[0] - 0.5) + abs(track.region.y / size[1] - 0.5)
        return float(track.region.side * (1.0 - 0.5 * off) * (1.0 if track.points is not None else 0.5))

    return score


def _distance(a: Region, b: Region) -> float:
    """Distance of two regions' centres, in sides of the bigger one, plus how much their sizes differ."""
    bigger = max(a.side, b.side, 1.0)
    ratio = min(a.side, b.side) / bigger
    return float(np.hypot(a.x - b.x, a.y - b.y) / bigger + max(0.0, 0.6 - ratio))


def _thumbnail(rgb: RGB, points: Array) -> Array:
    """The face upright in a small grey square of zero mean and unit variance."""
    placed = points[_ANCHORS, :2].T @ _FROM_ANCHORS
    return _standardised(cut_out(rgb, placed, (_THUMBNAIL, _THUMBNAIL), zeros=True))


def _standardised(picture: NDArray[Any]) -> Array:
    """The grey values (height, width) of a small picture, of zero mean and unit variance."""
    grey = picture.sum(axis=2, dtype=np.float64) / 3
    centred = grey - grey.sum() / grey.size
    return np.asarray(centred / (np.sqrt(np.square(centred).sum() / grey.size) + 1e-3))
