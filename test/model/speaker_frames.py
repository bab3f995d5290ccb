"""SpeakerFrames for the tests of the model, a listener that is run on them, and what is on the face."""

from collections.abc import Callable, Iterable, Iterator

import numpy as np

from reactdiff_ros.coefficients import COEFFICIENT_COUNT, INDEX, LOWER, UPPER
from reactdiff_ros.model.listener import Listener
from reactdiff_ros.types import EXPRESSION_CLASSES, MFCC_COUNT, Affect, Gaze, Reaction, SpeakerFrame, Voice

START_NS = 1_000_000_000_000
SLOT = 40_000_000
LATENCY = 25_000_000
SEEN = ("mouthSmile", "cheekSquint", "browOuterUp", "browDown", "mouthFrown", "mouthStretch")


def voice(
    speaking: bool = False, loudness: float = -25.0, pause_s: float = 0.0, utterance_s: float = 0.0,
    pitch_hz: float | None = None,
) -> Voice:  # fmt: skip
    """What the microphone tells; a pitch of 140 Hz where one speaks and it is not given."""
    return Voice(
        speech_probability=0.95 if speaking else 0.03, speaking=speaking, mfcc=np.zeros(MFCC_COUNT, dtype=np.float32),
        pitch_hz=140.0 * speaking if pitch_hz is None else pitch_hz, loudness_dbfs=loudness, pause_s=pause_s,
        utterance_s=utterance_s,
    )  # fmt: skip


def frame(stamp_ns: int, smile: float | None = 0.0, sound: Voice | None = None, jaw: float = 0.0) -> SpeakerFrame:
    """A frame with a face that smiles so much (None: no camera) and a voice (None: no microphone)."""
    values = np.zeros(COEFFICIENT_COUNT, dtype=np.float32)
    confidence = np.zeros(COEFFICIENT_COUNT, dtype=np.float32)
    happy = 0.0
    if smile is not None:
        for name in SEEN:
            confidence[[INDEX[name + "Left"], INDEX[name + "Right"]]] = 0.7
        confidence[[INDEX["browInnerUp"], INDEX["jawOpen"]]] = 0.8
        confidence[52:] = 0.9
        values[[INDEX["mouthSmileLeft"], INDEX["mouthSmileRight"]]] = smile
        values[[INDEX["cheekSquintLeft"], INDEX["cheekSquintRight"]]] = 0.5 * smile
        values[INDEX["jawOpen"]] = jaw
        happy = min(1.0, 1.3 * smile)
    chances = np.full(len(EXPRESSION_CLASSES), 0.02, dtype=np.float32)
    chances[EXPRESSION_CLASSES.index("happy")] = 0.9 * happy + 0.02
    chances[EXPRESSION_CLASSES.index("neutral")] = 0.9 * (1 - happy) + 0.02
    seen = smile is not None
    return SpeakerFrame(
        stamp_ns=stamp_ns, picture_stamp_ns=stamp_ns if seen else None,
        sound_stamp_ns=stamp_ns if sound is not None else None, person_id=1 if seen else -1, face_present=seen,
        mesh_present=seen, coefficients=values, confidence=confidence, neutral_confidence=0.7 if seen else 0.0,
        gaze=Gaze(0.0, 0.0, 0.9) if seen else None, position_m=None,
        affect=Affect("happy" if happy > 0.5 else "neutral", chances / chances.sum(), happy, 0.2) if seen else None,
        voice=sound,
    )  # fmt: skip


def session(
    seconds: float, *, smile: object = 0.0, talk: bool = False, camera: bool = True, microphone: bool = True,
    loudness: float = -60.0,
) -> Iterator[SpeakerFrame]:  # fmt: skip
    """Frames of a session; `smile` is a number or a function of seconds. Phrases of 2 s, pauses of 0.6."""
    for i in range(int(seconds * 25)):
        t = i / 25
        level = smile(t) if callable(smile) else smile
        into = t % 2.6
        speaks = talk and into < 2.0
        sound = None
        if microphone:
            pause = float("nan") if not talk else max(into - 2.0, 0.0)
            sound = voice(speaks, -22.0 if speaks else loudness, pause, into if speaks else 0.0)
        jaw = 0.3 * abs(np.sin(12 * t)) if speaks else 0.0
        yield frame(START_NS + i * SLOT, level if camera else None, sound, jaw=float(jaw))


def drive(
    listener: Listener, frames: Iterable[SpeakerFrame], seed: int | None = 0,
    before: Callable[[int, SpeakerFrame], None] = lambda i, item: None,
) -> list[Reaction]:  # fmt: skip
    """All plans of a session that starts anew (None: goes on); `before` is called with each frame's number."""
    if seed is not None:
        listener.reset(seed)
    plans = []
    for i, item in enumerate(frames):
        before(i, item)
        listener.observe(item)
        plan = listener.plan(item.stamp_ns + LATENCY)
        if plan is not None:
            plans.append(plan)
    return plans


def shown(plans: list[Reaction]) -> np.ndarray:
    """What is on the face, frame by frame (T, 58)."""
    first = plans[0].start_ns
    length = (plans[-1].start_ns - first) // SLOT + 16
    out = np.zeros((length, 58), dtype=np.float32)
    for plan in plans:
        i = (plan.start_ns - first) // SLOT
        out[i : i + len(plan.coefficients)] = plan.coefficients
    return out[: length - 12]


def assert_face(faces: np.ndarray) -> None:
    """Coefficients (..., 58) are finite and within their limits."""
    assert np.isfinite(faces).all()
    assert (faces >= LOWER).all()
    assert (faces <= UPPER).all()
