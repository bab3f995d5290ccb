"""Trains perception's read-out of expressions: rendered faces as the prior, labelled recordings as the data.

The prior is a read-out fitted to faces of the demo head whose coefficients are known: expressions after EMFACS
(Ekman and Friesen) at random strengths, spoken over. Recordings of people move it as far as they are worth; weights
are the mode of the posterior (multinomial logistic regression with a Gaussian prior). Its probabilities are those of
people it has not seen: each person is left out once, which gives the confusion matrix and one factor that calibrates
the confidence. Which recordings is in `expression_clips.csv`; `expression_clips.py` gets them.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import groupby
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import minimize
from scipy.special import expit

from reactdiff_ros.capture.media import MediaClip
from reactdiff_ros.coefficients import BLENDSHAPE_COUNT, COEFFICIENT_COUNT
from reactdiff_ros.errors import ConfigError
from reactdiff_ros.perception.expression import CRYING, FEATURES, ExpressionReader, ExpressionWeights, FadingMean
from reactdiff_ros.perception.person import feature_spread, features_of_face
from reactdiff_ros.perception.speaker import SpeakerPerception
from reactdiff_ros.recordings.labels import VIDEOS
from reactdiff_ros.simulator.emotions import EXPRESSIONS, draw_look, move
from reactdiff_ros.types import EXPRESSION_CLASSES, Picture
from tools.demo.head import Morphs, load_head
from tools.small_networks.expression_clips import SHOWN, Span

Array = NDArray[np.float64]
Range = tuple[float, float]

SPEECH: Final[dict[str, Range]] = {
    "jawOpen": (0.0, 0.45), "mouthFunnel": (0.0, 0.4), "mouthPucker": (0.0, 0.4), "mouthStretch": (0.0, 0.35),
    "mouthUpperUp": (0.0, 0.3), "mouthLowerDown": (0.0, 0.3), "mouthClose": (0.0, 0.2), "eyeBlink": (0.0, 1.0),
}  # fmt: skip
"""What vowels, consonants and blinks add. Of those who speak (7 in 10), each moves in a third of the faces."""
CRYING_FACE: Final[dict[str, Range]] = {
    "browInnerUp": (0.0, 0.3), "browDown": (0.2, 0.8), "eyeBlink": (0.5, 1.0), "eyeSquint": (0.2, 0.8),
    "cheekSquint": (0.3, 0.9), "mouthUpperUp": (0.1, 0.5), "mouthSmile": (0.2, 0.9), "mouthStretch": (0.2, 0.8),
    "mouthShrugLower": (0.3, 0.9), "mouthFrown": (0.0, 0.4),
}  # fmt: skip
"""Someone who cries (action units 4, 6, 7, 10, 12, 17, 20, 43): mouth and cheeks smile, but brows are knit, eyes
shut and the chin raised. Not among EXPRESSIONS, because simulated speakers talk."""
SHUT_LAUGH: Final = EXPRESSIONS["happy"][0] | {"eyeBlink": (0.3, 1.0)}
"""Someone who laughs with eyes shut: most like crying."""
RENDERED: Final = 200
"""Faces of each expression."""
NOISE: Final = 0.5
"""Between-person standard deviations by which a rendered face is off its personal neutral."""
PEOPLE: Final = 12
UNLIKE: Final = 1.5
"""So many people at rest and talking are made of rendered neutral faces, each off the population's neutral by this many
between-person standard deviations: recordings of unmoved people are too few to tell a face from an expression."""
PRIOR_VARIANCE: Final = 30.0
VARIANCE: Final = 20.0
"""Of a weight, around 0 for the rendered faces and around what they gave for the recordings."""
CRYING_VARIANCE: Final = 20_000.0
"""The same for crying, whose weights have no prior face to stay close to."""
_SAD, _CRIES = SHOWN.index("sad"), SHOWN.index(CRYING)
USUAL: Final = {"neutral": 2.0, "happy": 2.0, "fear": 0.5, "contempt": 0.5}
"""Weight of classes that people show often or rarely when they talk to someone; of the others 1. An answer to fear or
grief that is not there is what people notice."""
EVERY: Final = 3
"""Pictures of a recording, of which one is taken."""
FRAME_NS: Final = 40_000_000
HELD: Final = 12
"""A photograph is shown for so many pictures."""
MEMORY_S: Final = 0.6
"""Time constant of the mean of the features that are trained on, because the read-out averages as well."""


@dataclass(frozen=True)
class LabelledClip:
    """One recording or part of it. `features` (T, n) of FEATURES at `stamps_ns` (T,); `label`: index in SHOWN."""

    name: str
    person: str
    label: int
    features: Array
    stamps_ns: NDArray[np.int64]

    @property
    def read_as(self) -> int:
        """The class that is right for it: who cries is sad."""
        return _SAD if self.label == _CRIES else self.label


def read_clips(spans: Sequence[Span], folder: Path, progress: Callable[[Path], None]) -> list[LabelledClip]:
    """Parts of the recordings in `folder` as perception reads them: from a cold start, and acted recordings also after
    the actor's neutral one.

    Raises:
        ConfigError: some are not there.
        MediaError: one cannot be read.
    """
    if missing := {span.file(folder) for span in spans if not span.file(folder).is_file()}:
        raise ConfigError(
            f"{len(missing)} of the table's recordings are missing, such as {min(missing)}", where=str(folder),
            todo="python -m tools.small_networks.expression_clips gets the shipped table's",
        )  # fmt: skip
    neutral = {s.person: s.file(folder) for s in spans if s.label == "neutral" and _recorded_whole(s)}
    found = []
    for path, of_file in groupby(spans, key=lambda span: span.file(folder)):
        progress(path)
        parts = list(of_file)
        runs = [[path]]
        if all(_recorded_whole(s) for s in parts) and neutral.get(parts[0].person, path) != path:
            runs.append([neutral[parts[0].person]] * 2 + [path])
        for x, stamps in map(_perceived, runs):
            seconds = (stamps - stamps[:1]) / 1e9
            for s in parts:
                within = (seconds >= s.begin_s) & (seconds <= s.end_s)
                if within.any():
                    name, label = f"{s.repository}/{s.path}", SHOWN.index(s.label)
                    found.append(LabelledClip(name, s.person, label, x[within], stamps[within]))
    return found


def _recorded_whole(span: Span) -> bool:
    return span.whole and Path(span.path).suffix.lower() in VIDEOS


def _perceived(paths: Sequence[Path]) -> tuple[Array, NDArray[np.int64]]:
    """Features of the last of these recordings, seen one after another."""
    perception, begin = SpeakerPerception(), 0
    rows: list[Array] = []
    stamps: list[int] = []
    for path in paths:
        rows, stamps = [], []
        for picture in _pictures(path):
            stamp = begin + picture.stamp_ns
            perception.observe_picture(Picture(stamp, picture.bgr))
            if perception.expression_features is not None:
                rows.append(perception.expression_features)
                stamps.append(stamp)
        begin = stamps[-1] + FRAME_NS if stamps else begin
    return np.array(rows).reshape(-1, len(FEATURES)), np.array(stamps, dtype=np.int64)


def _pictures(path: Path) -> Iterator[Picture]:
    """A recording's pictures; a photograph HELD times."""
    count = 0
    for picture in MediaClip(path).pictures():
        yield Picture(picture.offset_ns, picture.bgr)
        count += 1
    if count == 1:
        yield from (Picture(k * FRAME_NS, picture.bgr) for k in range(1, HELD))


def rendered_faces(seed: int) -> tuple[Array, NDArray[np.int64]]:
    """Features (8 * RENDERED, n) and classes of faces of the demo head whose coefficients are known."""
    rng = np.random.default_rng(seed)
    x = [rendered(rng, EXPRESSIONS[name]) for name in EXPRESSION_CLASSES]
    return np.concatenate(x), np.repeat(np.arange(len(EXPRESSION_CLASSES)), RENDERED)


def rendered(rng: np.random.Generator, ways: Sequence[Mapping[str, Range]]) -> Array:
    """Features (RENDERED, n) of faces of the demo head that show an expression in one of its `ways`."""
    head, spread = Morphs(load_head()), NOISE * feature_spread()
    rest = features_of_face(head.landmarks(np.zeros(COEFFICIENT_COUNT)))
    faces = (features_of_face(head.landmarks(_drawn(rng, ways))) for _ in range(RENDERED))
    return np.array([face - rest + rng.normal(0.0, 1.0, len(rest)) * spread for face in faces])


def unmoved_people(seed: int, faces: Array) -> list[LabelledClip]:
    """PEOPLE who show nothing, of features (n, m) of neutral faces."""
    rng, stamps = np.random.default_rng(seed), np.arange(len(faces)) * 60_000_000_000  # no face is like the last
    neutral, off = EXPRESSION_CLASSES.index("neutral"), UNLIKE * feature_spread()
    drawn = (faces + off * rng.normal(size=faces.shape[1]) for _ in range(PEOPLE))
    return [LabelledClip("rendered", f"rendered {k}", neutral, x, stamps) for k, x in enumerate(drawn)]


def _drawn(rng: np.random.Generator, ways: Sequence[Mapping[str, Range]]) -> Array:
    face = draw_look(rng, ways)
    if rng.random() < 0.7:
        for name, (low, high) in SPEECH.items():
            if rng.random() < 0.35:
                move(face, rng, name, rng.uniform(low, high))
    face[:BLENDSHAPE_COUNT] = np.clip(face[:BLENDSHAPE_COUNT] + np.abs(rng.normal(0.0, 0.03, BLENDSHAPE_COUNT)), 0, 1)
    return face


def fit(x: Array, y: NDArray[np.int64], weight: Array, variance: float, prior: Array | None = None) -> Array:
    """Weights (8, n + 1) of features (N, n): the mode of the posterior. `weight` (N,) of each row."""
    count = len(EXPRESSION_CLASSES)
    design = np.column_stack([x, np.ones(len(x))])
    start = np.zeros((count, design.shape[1])) if prior is None else prior
    precision = _precision(design.shape[1], variance)
    wanted = np.eye(count)[y]

    def loss(flat: Array) -> tuple[float, Array]:
        w = flat.reshape(count, -1)
        scores = design @ w.T
        scores -= scores.max(axis=1, keepdims=True)
        odds = np.exp(scores)
        p = odds / odds.sum(axis=1, keepdims=True)
        away = (w - start) * precision
        value = -(weight * np.log((p * wanted).sum(axis=1) + 1e-12)).sum() + 0.5 * ((w - start) * away).sum()
        return float(value), (((p - wanted) * weight[:, None]).T @ design + away).ravel()

    return np.asarray(minimize(loss, start.ravel(), jac=True, method="L-BFGS-B").x).reshape(count, -1)


def _precision(count: int, variance: float) -> Array:
    """Of the Gaussian prior of `count` weights, the constant's, which comes last, being a hundred times as wide."""
    return np.append(np.full(count - 1, 1.0), 0.01) / variance


def _fitted(clips: Sequence[LabelledClip], prior: Array) -> Array:
    """Weights from recordings: every class counts the same but for USUAL, and within it every recording."""
    clips = [clip for clip in clips if clip.label != _CRIES]
    x = np.concatenate([clip.features[::EVERY] for clip in clips])
    y = np.concatenate([np.full(len(clip.features[::EVERY]), clip.label) for clip in clips])
    weight = np.concatenate([np.full(len(clip.features[::EVERY]), 1.0 / len(clip.features)) for clip in clips])
    for label in np.unique(y):
        weight[y == label] *= USUAL.get(EXPRESSION_CLASSES[label], 1.0) / weight[y == label].sum()
    return fit(x, y, weight, VARIANCE, prior)


def crying(
    weights: Array, tears: Array, laughs: Array, x: Array, y: NDArray[np.int64], clips: Sequence[LabelledClip]
) -> Array:
    """Weights (n + 1,) of crying next to those of the eight classes, `weights` (8, n + 1), which stay as they are.

    From rendered faces that cry, `tears` (m, n), recordings of people who do, and what it must not be taken for:
    rendered faces that laugh with eyes shut, `laughs` (l, n), or are `x` (k, n) of classes `y` (k,) other than sad, and
    recordings of people who are not sad. Each of these kinds counts the same, and who is happy is a kind, because a
    smile is what crying is like.
    """
    happy = EXPRESSION_CLASSES.index("happy")
    cry: list[list[Array]] = [[tears], [c.features for c in clips if c.label == _CRIES]]
    kinds = [[laughs]]
    for smiles in (True, False):
        kinds.append([x[(y != _SAD) & ((y == happy) == smiles)]])
        kinds.append([c.features[::EVERY] for c in clips if c.read_as != _SAD and (c.label == happy) == smiles])
    parts = [(part, 1 / len(part) / len(kind)) for kind in (*cry, *kinds) for part in kind]
    weight = np.concatenate([np.full(len(part), share) for part, share in parts])
    x = np.concatenate([part for part, _ in parts])
    cries = np.arange(len(x)) < sum(len(part) for kind in cry for part in kind)
    design = np.column_stack([x, np.ones(len(x))])
    rest = np.logaddexp.reduce(design @ weights.T, axis=1)
    precision = _precision(design.shape[1], CRYING_VARIANCE)

    def loss(row: Array) -> tuple[float, Array]:
        ahead = design @ row - rest
        value = (weight * (np.logaddexp(0.0, ahead) - cries * ahead)).sum() + 0.5 * (row * row * precision).sum()
        return float(value), design.T @ (weight * (expit(ahead) - cries)) + row * precision

    return np.asarray(minimize(loss, np.zeros(design.shape[1]), jac=True, method="L-BFGS-B").x)


def _steady(clip: LabelledClip) -> LabelledClip:
    """The recording with features (T, n) that are each the mean over those before it."""
    mean = FadingMean(MEMORY_S)
    means = [mean(int(stamp), x) for stamp, x in zip(clip.stamps_ns, clip.features, strict=True)]
    return replace(clip, features=np.array(means))


def train(clips: Sequence[LabelledClip], seed: int = 0) -> dict[str, Any]:
    """The read-out as a JSON object: weights, and how well it reads people who were left out.

    Raises:
        ConfigError: there are fewer than two people.
    """
    people = sorted({clip.person for clip in clips})
    if len(people) < 2:
        raise ConfigError(
            "training needs recordings of at least two people", where="--table", todo="add rows to the table"
        )
    x, y = rendered_faces(seed)
    prior = fit(x, y, np.full(len(y), len(EXPRESSION_CLASSES) / len(y)), PRIOR_VARIANCE)
    unmoved = unmoved_people(seed, x[y == EXPRESSION_CLASSES.index("neutral")])
    steady = [_steady(clip) for clip in (*unmoved, *clips)]
    tears, laughs = (rendered(np.random.default_rng([seed, 1]), (face,)) for face in (CRYING_FACE, SHUT_LAUGH))

    def fitted(known: Sequence[LabelledClip]) -> Array:
        eight = _fitted(known, prior)
        return np.vstack([eight, crying(eight, tears, laughs, x, y, known)])

    left_out = {p: ExpressionWeights(fitted([clip for clip in steady if clip.person != p])) for p in people}
    factor = _calibration([(left_out[clip.person], clip) for clip in clips])
    scaled = {person: ExpressionWeights(factor * found.weights) for person, found in left_out.items()}
    return {
        "classes": list(SHOWN),
        "features": [*FEATURES, "constant"],
        "weights": np.round(factor * fitted(steady), 4).tolist(),
        "people_not_trained_on": validation([(scaled[clip.person], clip) for clip in clips]),
        "trained_on": {
            "clips": sorted({clip.name for clip in clips}),
            "people": len(people),
            "rendered": len(y) + len(tears) + len(laughs),
        },
        "seed": seed,
    }


def _calibration(pairs: Sequence[tuple[ExpressionWeights, LabelledClip]]) -> float:
    """The factor on the scores with which people who were left out are most likely."""

    def unlikely(factor: float) -> float:
        return float(np.mean([
            -np.log(_read(ExpressionWeights(factor * found.weights), clip)[:, clip.read_as] + 1e-9).mean()
            for found, clip in pairs
        ]))  # fmt: skip

    factors = np.geomspace(0.2, 2.0, 24)
    return float(factors[int(np.argmin([unlikely(f) for f in factors]))])


def _read(found: ExpressionWeights, clip: LabelledClip) -> Array:
    """Probabilities (T, 8) as perception gives them."""
    reader = ExpressionReader(found)
    return np.array([reader.read(int(stamp), x) for stamp, x in zip(clip.stamps_ns, clip.features, strict=True)])


def validation(pairs: Sequence[tuple[ExpressionWeights, LabelledClip]]) -> dict[str, Any]:
    """How each clip is read by the weights that go with it: confusion (rows: label), balanced accuracy, calibration.

    In the confusion every person counts the same.
    """
    count = len(EXPRESSION_CLASSES)
    sure, right = [], []
    of_person: dict[tuple[int, str], list[Array]] = {}
    for found, clip in pairs:
        read = _read(found, clip)
        shares = np.bincount(read.argmax(axis=1), minlength=count) / len(read)
        of_person.setdefault((clip.read_as, clip.person), []).append(shares)
        sure.append(read.max(axis=1).mean())
        right.append(shares[clip.read_as])
    means = [(label, np.mean(shares, axis=0)) for (label, _), shares in of_person.items()]
    labels = sorted({label for label, _ in means})
    confusion = np.zeros((count, count))
    for label in labels:
        confusion[label] = np.mean([shares for of, shares in means if of == label], axis=0)
    return {
        "clips": len(pairs),
        "people": [sum(of == label for of, _ in means) for label in range(count)],
        "balanced_accuracy": round(float(confusion.diagonal()[labels].mean()), 3),
        "mean_confidence": round(float(np.mean(sure)), 3),
        "accuracy": round(float(np.mean(right)), 3),
        "confusion": np.round(confusion, 2).tolist(),
    }
