"""`evaluate behaviour`: lags of reciprocal smiles, reliance on the speaker, and realism of two-second windows."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from reactdiff_ros.errors import WeightsError
from reactdiff_ros.evaluation.listeners import MODEL, StreamListener, style_conditions
from reactdiff_ros.evaluation.metrics import bootstrap
from reactdiff_ros.evaluation.metrics.coupling import own_couplings
from reactdiff_ros.evaluation.metrics.events import Lags, onset_lags, smile_curve
from reactdiff_ros.evaluation.metrics.spectra import frechet_distance, two_sample_auc
from reactdiff_ros.evaluation.plots import plot_lags
from reactdiff_ros.evaluation.results import Study
from reactdiff_ros.model.backends.weights import Weights
from reactdiff_ros.model.diffusion.sampler import Conditions, ordinary
from reactdiff_ros.model.diffusion.tokens import STREAMS, featurize
from reactdiff_ros.simulator.dyads import Dyads, simulate
from reactdiff_ros.simulator.listener import listen
from reactdiff_ros.simulator.observation import observe
from reactdiff_ros.simulator.seeds import purpose_seed
from reactdiff_ros.simulator.speaker import Speakers, make_speakers, stimulus_of
from reactdiff_ros.simulator.temperament import Temperament, draw_temperaments
from reactdiff_ros.simulator.voices import VoiceBank
from reactdiff_ros.types import FloatArray, OnProgress

Values = NDArray[np.floating[Any]]
Floats = NDArray[np.float64]
_MOVES = 0.01


def paired_less_shuffled(paired: Floats, shuffled: Floats, seed: int) -> dict[str, float]:
    """Mean difference over items (N,) with its 95 % bootstrap interval."""
    difference = paired - shuffled
    low, high = bootstrap.mean_interval(difference, np.random.default_rng([seed, 51]))
    return {
        "paired": float(paired.mean()), "shuffled": float(shuffled.mean()), "reliance": float(difference.mean()),
        "low": float(low), "high": float(high),
    }  # fmt: skip


def expected_correlation(expected: Values, streams: Values) -> Floats:
    """(N,) mean correlation over coefficients of streams (N, T, 58) with what is expected of a listener (N, T, 58).

    `expected` is the mean of many simulated listeners of the same speaker: what of a face is decided by the speaker.
    Coefficients that do not move in it are left out.
    """
    centred = [x.astype(np.float64) - x.mean(1, keepdims=True, dtype=np.float64) for x in (expected, streams)]
    deviation = [np.sqrt((x**2).mean(1)) for x in centred]
    moving = (deviation[0] > _MOVES) & (deviation[1] > 1e-4)
    product = (centred[0] * centred[1]).mean(1)
    correlation = np.where(moving, product / np.maximum(deviation[0] * deviation[1], 1e-12), 0.0)
    return np.asarray(correlation.sum(1) / np.maximum((deviation[0] > _MOVES).sum(1), 1))


def derangement(count: int) -> NDArray[np.intp]:
    """Another speaker for each of `count` (no one's own)."""
    return np.roll(np.arange(count, dtype=np.intp), max(count // 2, 1))


Mask = NDArray[np.bool_]

FACE: Final = tuple(name for name, kind, _ in STREAMS if kind == "face")
VOICE: Final = tuple(name for name, kind, _ in STREAMS if kind == "voice")
MAPS: Final[dict[str, tuple[str, ...]]] = {
    "intra_face": ("class", *FACE), "intra_voice": ("class", *VOICE),
    "inter_face_to_voice": ("class", *VOICE), "inter_voice_to_face": ("class", *FACE),
}  # fmt: skip
"""Maps of attention by name: what the class token of one class attends to."""
CUES: Final = ("smile with bright voice", "smile with flat voice", "laugh", "cough", "pause held", "pause yielded")
_MASKED: Final = -1e4


@dataclass(frozen=True, slots=True)
class FusionWeights:
    """The encoder's tensors by their names, in float64."""

    tensors: dict[str, Floats]
    heads: int


def read_fusion(weights: Weights) -> FusionWeights:
    """The tensors of the encoder in a folder of weights.

    Raises:
        WeightsError: they are not there.
    """
    from safetensors.numpy import load_file

    path = weights.tensors
    try:
        tensors = load_file(path)
    except (OSError, ValueError) as error:
        raise WeightsError("the tensors of the weights cannot be read", where=str(path), todo=str(error)) from error
    own = {k.removeprefix("encoder."): v.astype(np.float64) for k, v in tensors.items() if k.startswith("encoder.")}
    if "face.kind" not in own:
        raise WeightsError("the weights have no encoder of this version", where=str(path), todo="export them again")
    return FusionWeights(own, weights.shape["heads"])


def attention_maps(weights: FusionWeights, features: Floats, observed: Floats) -> dict[str, Floats]:
    """Attention (n, streams + 1), mean over heads, of every map for frames of features (n, F) and flags (n, S)."""
    widths = np.cumsum([width for _, _, width in STREAMS])[:-1]
    streams = np.split(features, widths, axis=-1)
    seen, heard = observed[:, : len(FACE)], observed[:, len(FACE) :]
    face, intra_face = _class(weights, "face", streams[: len(FACE)], seen)
    voice, intra_voice = _class(weights, "voice", streams[len(FACE) :], heard)
    face, voice = _norm(weights, "norm_face", face), _norm(weights, "norm_voice", voice)
    return {
        "intra_face": intra_face,
        "intra_voice": intra_voice,
        "inter_face_to_voice": _attend(weights, "face_to_voice", face[:, :1], voice, heard)[1][:, 0],
        "inter_voice_to_face": _attend(weights, "voice_to_face", voice[:, :1], face, seen)[1][:, 0],
    }


def _class(weights: FusionWeights, name: str, streams: list[Floats], observed: Floats) -> tuple[Floats, Floats]:
    tokens = []
    for i, stream in enumerate(streams):
        hidden = _gelu(_linear(weights, f"{name}.projections.{i}.0", stream))
        tokens.append(_linear(weights, f"{name}.projections.{i}.2", hidden) * observed[:, i : i + 1])
    x = np.stack([np.zeros_like(tokens[0]), *tokens], axis=1) + weights.tensors[f"{name}.kind"]
    normed = _norm(weights, f"{name}.norm1", x)
    mixed, maps = _attend(weights, f"{name}.attention", normed, normed, observed)
    x = x + mixed
    hidden = _gelu(_linear(weights, f"{name}.mlp.0", _norm(weights, f"{name}.norm2", x)))
    return x + _linear(weights, f"{name}.mlp.2", hidden), maps[:, 0]


def _attend(weights: FusionWeights, name: str, x: Floats, memory: Floats, observed: Floats) -> tuple[Floats, Floats]:
    """Output (n, Q, D) and attention (n, Q, K), mean over heads; unobserved streams behind the class are hidden."""
    heads = weights.heads

    def split(values: Floats) -> Floats:
        return values.reshape(*values.shape[:2], heads, -1).transpose(0, 2, 1, 3)

    q, k, v = (split(_linear(weights, f"{name}.{p}", m)) for p, m in (("q", x), ("k", memory), ("v", memory)))
    mask = np.pad((1.0 - observed) * _MASKED, ((0, 0), (1, 0)))[:, None, None, :]
    scores = q @ k.swapaxes(-1, -2) * q.shape[-1] ** -0.5 + mask
    share = np.exp(scores - scores.max(-1, keepdims=True))
    share /= share.sum(-1, keepdims=True)
    joined = (share @ v).transpose(0, 2, 1, 3).reshape(*x.shape[:2], -1)
    return _linear(weights, f"{name}.out", joined), share.mean(1)


def _linear(weights: FusionWeights, name: str, x: Floats) -> Floats:
    return np.asarray(x @ weights.tensors[f"{name}.weight"].T + weights.tensors[f"{name}.bias"])


def _norm(weights: FusionWeights, name: str, x: Floats) -> Floats:
    centred = x - x.mean(-1, keepdims=True)
    scaled = centred / np.sqrt((centred**2).mean(-1, keepdims=True) + 1e-5)
    return np.asarray(scaled * weights.tensors[f"{name}.weight"] + weights.tensors[f"{name}.bias"])


def _gelu(x: Floats) -> Floats:
    return np.asarray(0.5 * x * (1 + np.tanh((2 / np.pi) ** 0.5 * (x + 0.044715 * x**3))))


def cue_frames(s: Speakers) -> dict[str, Mask]:
    """(B, T) frames of each of CUES, and "plain talk": speech without any of them."""
    smiling = s.smile > 0.3
    pause = ~s.speech & ~s.burst & s.present
    held = stimulus_of(s).held > 0.5  # within a pause after which the same person goes on
    return {
        "smile with bright voice": smiling & s.speech & s.bright & ~s.flat,
        "smile with flat voice": smiling & s.speech & s.flat,
        "laugh": s.burst & s.laughing,
        "cough": s.burst & ~s.laughing,
        "pause held": pause & held,
        "pause yielded": pause & ~held,
        "plain talk": s.speech & (s.smile < 0.05) & (s.brighten < 0.05),
    }


def evaluate_attention(
    weights: Weights, *, seed: int = 0, worlds: int = 240, frames: int = 750, bank: VoiceBank | None = None
) -> dict[str, Any]:
    """Mean attention of every map in plain talk, and on each cue its difference from that with a 95 % interval.

    The interval is a bootstrap over worlds in which both occur, camera and microphone on. Somebody coughs in one world
    of seven, and 60 worlds held two such.
    """
    number, fusion = purpose_seed("evaluate", seed, 12), read_fusion(weights)
    speakers = make_speakers(number, worlds, frames)
    batch = observe(number, speakers, bank)
    features, observed = featurize(batch)
    usable = batch.mesh & batch.microphone
    cues = {name: where & usable for name, where in cue_frames(speakers).items()}
    by_world = [
        attention_maps(fusion, *(np.asarray(given, dtype=np.float64) for given in world))
        for world in zip(features, observed, strict=True)
    ]
    shaped = {name: np.stack([maps[name] for maps in by_world]) for name in MAPS}
    rng = np.random.default_rng([seed, 91])
    out: dict[str, Any] = {"plain talk": {}, "cues": {}}
    for name, values in shaped.items():
        plain = values[cues["plain talk"]]
        out["plain talk"][name] = dict(zip(MAPS[name], plain.mean(0).tolist(), strict=True)) if len(plain) else None
    for cue in CUES:
        out["cues"][cue] = {
            name: _difference(values, cues[cue], cues["plain talk"], MAPS[name], rng) for name, values in shaped.items()
        }
    return out


def _difference(
    values: Floats, on: Mask, off: Mask, names: tuple[str, ...], rng: np.random.Generator
) -> dict[str, Any] | None:
    both = on.any(1) & off.any(1)
    if both.sum() < 3:
        return None
    gaps = np.array([values[w][on[w]].mean(0) - values[w][off[w]].mean(0) for w in np.flatnonzero(both)])
    low, high = bootstrap.mean_interval(gaps, rng, 1000)
    return {
        name: {"difference": float(gaps[:, i].mean()), "low": float(low[i]), "high": float(high[i])}
        for i, name in enumerate(names)
    }


EXPECTED_OF: Final = 12
SETTINGS: Final = ("natural", "responsive")
_SEEN: Final = 0.6
_DRAWS: Final = {"listener": 9, "simulator": 10}


def evaluate_behaviour(
    listener: StreamListener, *, seed: int = 0, items: int = 100, seconds: float = 60.0,
    bank: VoiceBank | None = None, progress: OnProgress = lambda share: None,
) -> Study:  # fmt: skip
    """All figures of the command, on simulated speakers that no training has seen; and a histogram of the lags."""
    number = purpose_seed("evaluate", seed, 8)
    with_, without = (
        simulate(number, items, round(seconds * 25), bank, prior="natural", precursors=has) for has in (True, False)
    )
    draws = {name: purpose_seed("evaluate", seed, i) % (1 << 40) + np.arange(items) for name, i in _DRAWS.items()}
    done = 0

    def streams(dyads: Dyads, conditions: Conditions, *, shuffled: bool = False) -> FloatArray:
        """What the listener shows; `shuffled`: to another one's speaker, all else being equal."""
        nonlocal done
        speaker, truth = dyads.speaker, dyads.stimulus
        if shuffled:
            speaker, truth = speaker.take(derangement(items)), truth.take(derangement(items))
        shown = listener.run(speaker, conditions, draws["listener"], truth)
        done += 1
        progress(min(done / 5, 1.0))
        return shown

    natural = ordinary(items, with_.controls)
    own = streams(with_, natural)
    other, smile, expected = streams(with_, natural, shuffled=True), with_.truth.smile, expected_listener(with_, seed)
    # With the own speaker less with another one's: coupling of smiles, and all coefficients with what is expected.
    pairs = {
        "smile": (own_couplings(smile, smile_curve(own)), own_couplings(smile, smile_curve(other))),
        "face": (expected_correlation(expected, own), expected_correlation(expected, other)),
    }
    figures: dict[str, Any] = {
        "reliance": {name: paired_less_shuffled(*pair, seed) for name, pair in pairs.items()},
        "realism": _realism(with_, own, seed), "lags": {}, "lags_of_simulated_listeners": {},
    }  # fmt: skip
    drawn: dict[str, Lags] = {}
    simulator = StreamListener("simulator")
    for setting in SETTINGS:
        conditions = natural if setting == "natural" else style_conditions("responsive", items)
        for name, dyads in (("with_precursors", with_), ("without_precursors", without)):
            shown = own if setting == "natural" and dyads is with_ else streams(dyads, conditions)
            lags = drawn[f"{setting}, {name.replace('_', ' ')}"] = _lags(dyads, shown, seed)
            fresh = simulator.run(dyads.speaker, conditions, draws["simulator"], dyads.stimulus)
            figures["lags"].setdefault(setting, {})[name] = lags.table()
            simulated = figures["lags_of_simulated_listeners"].setdefault(setting, {})
            simulated[name] = _lags(dyads, fresh, seed).table()
    if listener.name == MODEL:
        figures["attention"] = evaluate_attention(listener.weights, seed=seed, bank=bank)
    figures.update(items=items, seconds=seconds, seed=seed)
    return Study(figures, {"lags.png": partial(plot_lags, drawn)})


def _lags(dyads: Dyads, streams: FloatArray, seed: int) -> Lags:
    seen = dyads.speaker.mesh.mean(1) > _SEEN
    return onset_lags(dyads.truth.smile[seen], smile_curve(streams[seen]), np.random.default_rng([seed, 71]))


def expected_listener(dyads: Dyads, seed: int) -> FloatArray:
    """(N, T, 58) mean of EXPECTED_OF simulated listeners of each speaker, who differ in traits and noise."""
    count = len(dyads.controls)
    total = np.zeros_like(dyads.listener)
    for k in range(EXPECTED_OF):
        drawn = purpose_seed("evaluate", seed, 100 + k)
        who = draw_temperaments(drawn, count, controls=dyads.controls)
        total += listen(dyads.stimulus, who, drawn).coefficients
    return total / EXPECTED_OF


def _realism(dyads: Dyads, own: FloatArray, seed: int) -> dict[str, Any]:
    """Beside fresh simulated listeners of the same speakers: they are the floor, and the classifier's level."""
    drawn = purpose_seed("evaluate", seed, 99)
    who = Temperament(dyads.controls, draw_temperaments(drawn, len(dyads.controls)).traits)
    fresh = listen(dyads.stimulus, who, drawn).coefficients
    return {
        "frechet": frechet_distance(own, dyads.listener, fresh),
        "classifier": two_sample_auc(own, dyads.listener, seed),
        "classifier_floor": two_sample_auc(fresh, dyads.listener, seed),
    }
