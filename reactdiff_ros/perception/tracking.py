"""Who is there: faces followed over pictures, with identities that do not jump and are never given twice.

Two signals make a face: the detector (who is there at all, also far away) and the mesh (landmarks in a region that
follows the face). The mesh runs on every picture for at most `max_faces` people, the detector every few pictures and
whenever someone is missing. What only one of them believes in does not last: a new face must be detected for
`confirm_s`, and a mesh that the detector does not confirm is dropped after five times `lost_after_s`.

Who comes back within a minute gets their id and neutral back, if they look like themselves and like no one else
(`appearance.py`); where two faces meet, each must look more like its own person than like the other.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

import numpy as np

from reactdiff_ros.clock import to_ns
from reactdiff_ros.perception.appearance import ACCEPTED, REFUSED, Appearance, Look, look_of, standardised
from reactdiff_ros.perception.config import PerceptionConfig
from reactdiff_ros.perception.nets import REGION_MARGIN, RGB, Detection, FaceNets, Region, region_of_landmarks
from reactdiff_ros.perception.person import Person, Reading
from reactdiff_ros.pictures import cut_out
from reactdiff_ros.types import Array

_MAX_TRACKS = 8
_MESHES = 3
"""Most faces that the mesh is run on in one picture: with more, all but the first take turns."""
_MEMORY_NS = to_ns(60.0)
"""How long a person who has left is remembered."""
_REMEMBERED = 8
_RECOGNISE_NS = to_ns(1.0)
"""How long a new face is looked at, where it may be someone who was here."""
_MEET = 0.6
"""Distance of two faces, in sides of their regions, from which they could be taken for each other."""
_PICTURES = 3
"""Looks at a new face that are averaged."""
_GAP_NS = to_ns(0.1)
_LONG_GAP_NS = to_ns(0.25)
"""Who was not seen for the first of these was out of sight, unless a slow camera's last picture shows them in the same
scene; who was not seen for the second always was."""
_SCENE = (24, 18)
_SCENE_CUT = 0.5
"""Correlation of two pictures below which the whole scene is another: less than `_GAP_NS` apart, it is a film's cut."""


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
    lips: float = -3.0
    """Motion of the lips: mean logarithm of the speed of their gap (eye distances a second) + 0.05, over about 0.1 s.
    Wide movements count little more than those of speech."""
    speed: float = 0.0
    """Mean speed of the face in the picture over about 0.4 s, in sides of the face a second."""
    reading: Reading | None = None
    """What this picture shows of the person, None without a mesh."""
    look: Look | None = None
    look_ns: int = 0
    appearance: Appearance = field(default_factory=Appearance)
    turn_ns: int = 0
    """When the mesh was last run for this face."""
    likenesses: dict[int, list[float]] = field(default_factory=dict, repr=False)
    """Of a new face to people who were here, by id."""
    cut: bool = False
    """The scene changed and this face was not found again in the new one."""
    _gap: tuple[int, float] | None = field(default=None, repr=False)
    _place: tuple[int, float, float] | None = field(default=None, repr=False)
    _moved: float = field(default=0.0, repr=False)

    def looks_like(self, look: Look, since_ns: int, cut: bool, alone: bool) -> bool:
        """Whether `look` can be the same face now. Who was seen after `since_ns` was not out of sight.

        Faces of one person correlate by 0.73 or more from picture to picture (measured on recordings), those of two
        people by less than 0.77 in nine of ten pairs. Without a cut no person is replaced within one picture; someone
        who was out of sight must look like themselves. Two directions of one head do not look alike: who turns in
        sight, and is `alone` there, is known by their place.
        """
        if self.look is None:
            return True
        alike = float((self.look.grey * look.grey).mean())
        if cut:
            return alike >= 0.85
        gap = self.look_ns <= since_ns
        if not gap and alike >= 0.2:
            return True
        likeness = self.appearance.likeness(look)
        if gap and alike >= 0.35 and (likeness >= REFUSED or not self.appearance.known):
            return True
        return likeness >= ACCEPTED or (alone and self.seen_ns > since_ns and look.turned_from(self.look))

    def listen_to_mouth(self, stamp_ns: int, gap: float) -> None:
        """Updates `lips` from the lips' gap in eye distances."""
        if self._gap is not None and stamp_ns > self._gap[0]:
            dt = (stamp_ns - self._gap[0]) / 1e9
            speed = abs(gap - self._gap[1]) / dt
            self.lips += (1.0 - float(np.exp(-dt / 0.1))) * (float(np.log(speed + 0.05)) - self.lips)
        self._gap = (stamp_ns, gap)

    @property
    def shown(self) -> bool:
        """Whether this picture shows the face."""
        return self.detected or self.points is not None

    @property
    def face_px(self) -> float:
        """The larger side of the face."""
        return self.region.side / REGION_MARGIN

    def move(self, stamp_ns: int) -> None:
        """Updates `speed` where the face was seen in this picture."""
        if not self.shown:
            return
        last, self._place = self._place, (stamp_ns, self.region.x, self.region.y)
        if last is not None and stamp_ns > last[0]:
            dt = (stamp_ns - last[0]) / 1e9
            way = float(np.hypot(self.region.x - last[1], self.region.y - last[2])) / max(self.face_px, 1.0)
            kept = float(np.exp(-dt / 0.4))
            weight = kept * self._moved + (1.0 - kept)
            self.speed += (1.0 - kept) / weight * (way / dt - self.speed)
            self._moved = weight


class Tracker:
    """All followed faces. Ids count up and are never reused, also after `flush`."""

    def __init__(self, config: PerceptionConfig, nets: FaceNets) -> None:
        self._config, self._nets = config, nets
        self._tracks: list[Track] = []
        self._gone: list[Track] = []
        self._next_id = 1
        self._detector_ns: int | None = None
        self._scene: tuple[int, Array] | None = None
        self._since_ns = 0
        """Who was seen after it was not out of sight."""
        self._cut = False

    @property
    def tracks(self) -> tuple[Track, ...]:
        """Confirmed people, those seen within `lost_after_s`."""
        return tuple(t for t in self._tracks if t.confirmed)

    def flush(self) -> None:
        """Forgets all people (a new time line)."""
        self._tracks.clear()
        self._gone.clear()
        self._detector_ns = self._scene = None

    def update(self, stamp_ns: int, rgb: RGB, first: int = -1) -> None:
        """Takes a picture. `first` is the id whose landmarks come first when there are more than `max_faces` faces."""
        self._watch_scene(stamp_ns, rgb)
        order = sorted(self._tracks, key=lambda t: (t.person_id != first, not t.confirmed, t.person_id))
        followed = _in_turn(order[: self._config.max_faces])
        due = self._detector_due(stamp_ns, followed)
        if due and followed:
            self._nets.begin_detection(rgb)
        for track in self._tracks:
            track.detected, track.points, track.reading = False, None, None
        for track in followed:
            self._follow(track, stamp_ns, rgb, track.region)
        if due or any(track.points is None for track in followed):
            self._detector_ns = stamp_ns
            self._detect(stamp_ns, rgb, followed)
        self._settle(stamp_ns)

    def _watch_scene(self, stamp_ns: int, rgb: RGB) -> None:
        steps = np.array(rgb.shape[1::-1]) / _SCENE
        whole = np.column_stack([np.diag(steps), steps / 2 - 0.5])
        small = standardised(cut_out(rgb, whole, _SCENE))
        last, self._scene = self._scene, (stamp_ns, small)
        self._since_ns, self._cut = stamp_ns - _GAP_NS, False
        if last is not None and float((last[1] * small).mean()) < _SCENE_CUT:
            self._cut = stamp_ns - last[0] < _GAP_NS
        elif last is not None:
            self._since_ns = max(min(self._since_ns, last[0] - 1), stamp_ns - _LONG_GAP_NS)

    def _detector_due(self, stamp_ns: int, followed: list[Track]) -> bool:
        """Whether it has to run on this picture even if the mesh finds all people."""
        if self._detector_ns is None or not followed:
            return True
        if any(not t.confirmed or t.detected_ns < self._detector_ns for t in followed):
            return True
        return stamp_ns - self._detector_ns >= to_ns(self._config.detector_interval_s)

    def _follow(self, track: Track, stamp_ns: int, rgb: RGB, region: Region) -> None:
        points = self._nets.mesh(rgb, region)
        track.turn_ns = stamp_ns
        if points is None:
            return
        found = region_of_landmarks(points)
        shift = np.hypot(found.x - region.x, found.y - region.y) / max(region.side, 1.0)
        if shift > 0.5 or not 0.5 < found.side / max(region.side, 1.0) < 2.0:
            return
        look = look_of(rgb, points)
        if not self._looks_like(track, look, found):
            track.cut = track.cut or self._cut
            return
        if self._is_anothers(track, found, look):
            return
        track.points, track.region, track.cut = points, found, False
        track.look, track.look_ns = look, stamp_ns
        track.seen_ns = stamp_ns

    def _looks_like(self, track: Track, look: Look, found: Region) -> bool:
        alone = not any(_distance(t.region, found) < _MEET for t in self._tracks if t is not track)
        return track.looks_like(look, self._since_ns, self._cut or track.cut, alone)

    def _is_anothers(self, track: Track, found: Region, look: Look) -> bool:
        """Whether a face found near someone else looks like them rather than like the person who was looked for."""
        near = [t for t in self._tracks if t is not track and t.confirmed and _distance(t.region, found) < _MEET]
        other = max((t.appearance.likeness(look) for t in near), default=-1.0)
        return other > REFUSED and other > track.appearance.likeness(look) + 0.1

    def _detect(self, stamp_ns: int, rgb: RGB, followed: list[Track]) -> None:
        free = list(self._tracks)
        for found in self._nets.detect(rgb, self._config.min_detection_score):
            near = sorted(free, key=lambda t: _distance(t.region, found.region))
            near = [t for t in near if _distance(t.region, found.region) <= 0.4]
            if not near:
                self._begin(stamp_ns, rgb, found)
            for track in near:
                if self._is_of(track, stamp_ns, rgb, found, track in followed):
                    free.remove(track)
                    track.detected = True
                    if track.points is None:
                        track.region = found.region
                    track.seen_ns = track.detected_ns = stamp_ns
                    break

    def _is_of(self, track: Track, stamp_ns: int, rgb: RGB, found: Detection, followed: bool) -> bool:
        """Whether the face found is the one of `track`, whose mesh is run if it was not found yet."""
        if track.points is None and followed:
            self._follow(track, stamp_ns, rgb, found.region)
        return track.points is not None or self._same(track, stamp_ns, rgb, found)

    def _same(self, track: Track, stamp_ns: int, rgb: RGB, found: Detection) -> bool:
        """False when the mesh finds a face in `found` that does not look like `track`'s: someone else is there."""
        if track.look is None:
            return True
        points = self._nets.mesh(rgb, found.region)
        if points is None:
            return True
        look = look_of(rgb, points)
        return self._looks_like(track, look, found.region) and not self._is_anothers(track, found.region, look)

    def _begin(self, stamp_ns: int, rgb: RGB, found: Detection) -> None:
        if len(self._tracks) >= _MAX_TRACKS:
            return
        track = Track(self._next_id, Person(self._config), found.region, stamp_ns, stamp_ns, stamp_ns)
        self._next_id += 1
        self._tracks.append(track)
        if sum(t.points is not None for t in self._tracks) < min(self._config.max_faces, _MESHES):
            self._follow(track, stamp_ns, rgb, found.region)

    def _settle(self, stamp_ns: int) -> None:
        lost, confirm = to_ns(self._config.lost_after_s), to_ns(self._config.confirm_s)
        kept: list[Track] = []
        for track in sorted(self._tracks, key=lambda t: (not t.confirmed, t.points is None, t.person_id)):
            patience = lost if track.confirmed else min(lost, confirm)
            late = stamp_ns - track.seen_ns > patience or stamp_ns - track.detected_ns > 5 * lost
            if late or any(_distance(track.region, other.region) < 0.25 for other in kept):
                self._remember(track)
                continue
            kept.append(track)
        self._tracks = sorted(kept, key=lambda t: t.person_id)
        self._gone = [t for t in self._gone if 0 <= stamp_ns - t.seen_ns <= _MEMORY_NS][-_REMEMBERED:]
        for track in kept:
            track.move(stamp_ns)
            if not track.confirmed and track.detected and stamp_ns - track.first_ns >= confirm:
                self._confirm(track, stamp_ns)
            if track.confirmed and track.points is not None and track.look is not None:
                track.appearance.observe(stamp_ns, track.look)

    def _remember(self, track: Track) -> None:
        if track.confirmed and track.appearance.known:
            self._gone.append(track)

    def _confirm(self, track: Track, stamp_ns: int) -> None:
        """Counts a new face as a person: one who was here a short while ago, or a new one.

        While it may be the former, it is looked at for up to 1 s.
        """
        unseen = [t for t in self._tracks if t.confirmed and stamp_ns - t.seen_ns > _GAP_NS and t.appearance.known]
        missing = {t.person_id: t for t in (*self._gone, *unseen)}
        if track.points is not None and track.look is not None:
            for person_id, other in missing.items():
                track.likenesses.setdefault(person_id, []).append(other.appearance.likeness(track.look))
        verdict = _recognised({i: seen for i, seen in track.likenesses.items() if i in missing})
        if verdict is None and missing and stamp_ns - track.first_ns < _RECOGNISE_NS:
            return
        if verdict is not None and verdict in missing:
            known = missing[verdict]
            track.person_id, track.person, track.appearance = known.person_id, known.person, known.appearance
            self._gone = [t for t in self._gone if t is not known]
            self._tracks = [t for t in self._tracks if t is not known]
        track.confirmed = True
        track.likenesses.clear()


def _recognised(likenesses: dict[int, list[float]]) -> int | None:
    """Who a new face is: an id of those who were here, -1 = certainly none of them, None = not known yet."""
    if not likenesses or min(len(seen) for seen in likenesses.values()) < _PICTURES:
        return None
    newest = sorted((float(np.mean(seen[-_PICTURES:])), i) for i, seen in likenesses.items())
    best, who = newest[-1]
    if best >= ACCEPTED and (len(newest) == 1 or newest[-2][0] < best - 0.1):
        return who
    return -1 if best < REFUSED else None


def _in_turn(order: list[Track]) -> list[Track]:
    """Those whose landmarks are looked for in this picture: the first, and who of the others waits longest."""
    if len(order) <= _MESHES:
        return order
    return [order[0], *sorted(order[1:], key=lambda t: t.turn_ns)[: _MESHES - 1]]


class TargetChooser:
    """Which of the followed people the robot listens to: one, with hysteresis.

    The target stays while they are there. Without a target the biggest face near the middle of the picture is chosen.
    Another person takes over when it is clearly their voice that is heard, for `switch_after_s`. `select` overrides;
    a locked choice stays until that person is gone.
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

    def update(
        self, stamp_ns: int, tracks: tuple[Track, ...], speaking: Mapping[int, float], size: tuple[int, int]
    ) -> Track | None:
        """The target among `tracks`, where it stays, for a picture of `size` (width, height).

        `speaking` is the belief that each of them speaks, by id.
        """
        current = next((t for t in tracks if t.person_id == self.target), None)
        if current is None:
            self._locked, self._rival = False, None
            current = max(tracks, key=_prominence(size), default=None)
        elif not self._locked:
            current = self._follow_the_voice(stamp_ns, current, tracks, speaking)
        self.target = -1 if current is None else current.person_id
        return current

    def _follow_the_voice(
        self, stamp_ns: int, current: Track, tracks: tuple[Track, ...], speaking: Mapping[int, float]
    ) -> Track:
        talker = max(tracks, key=lambda t: speaking.get(t.person_id, 0.0))
        if talker is current or speaking.get(talker.person_id, 0.0) < _SPEAKS:
            self._rival = None
            return current
        if self._rival is None or self._rival[0] != talker.person_id:
            self._rival = (talker.person_id, stamp_ns)
        if stamp_ns - self._rival[1] < to_ns(self._config.switch_after_s):
            return current
        self._rival = None
        return talker


_SPEAKS = 0.6
"""Belief that someone speaks from which they may become the target."""


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
