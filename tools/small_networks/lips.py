"""Trains the network that moves the lips (`speech.lips`) on synthesised voices, animators' curves and people's lips.

Synthesised voices carry the table's curves of their timed sounds. FACEGOOD's curves and the lips that perception reads
from recordings of people have other scales and no closures: of them only the correlation of jaw and rounding counts.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any, Final

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from reactdiff_ros.coefficients import BLENDSHAPE_NAMES
from reactdiff_ros.errors import explained
from reactdiff_ros.speech.lips import AHEAD, BANDS, BLOCK, OUTPUTS, SHAPED, LipWeights, features_of
from reactdiff_ros.speech.visemes import MOUTH_NAMES, NAMES, SILENCE, STEP, Phones, curves_of, phones_of
from reactdiff_ros.training.run import CHECKPOINT, load_state, refuse_to_begin_over, save_state
from reactdiff_ros.types import FloatArray, Sound
from reactdiff_ros.whole_file import write_arrays
from tools.small_networks.closures import closure_counts, f1, runs
from tools.small_networks.known_lips import KnownLips, perceived_lips, read_facegood
from tools.small_networks.timed_voices import FLITE, LANGUAGES, Spoken, aligned, espeak, espeak_jobs, flite, sentence

FILE: Final = "lips.npz"
_TAKES: Final = "takes.npz"
_PERSON: Final = "person "
_NATURAL: Final = 2.0
"""Weight of voices that were made of recordings (flite, aligned ones) among the synthesised."""
_FACTORS: Final = (0.9, 1.0, 1.12)
"""Speeds at which aligned voices, which are few, are taken."""
WIDTH: Final = 64
DILATIONS: Final = (1, 2, 4, 8, 1, 2)
"""In blocks of two frames."""
SEGMENT: Final = 320
"""Frames of a sample."""
OFFSETS: Final = 24
"""Frames that a recording's lips may be off its sound."""
FOUND: Final = 0.4
"""Share of the steps after which the network finds the offsets of recordings."""
JAW, FUNNEL, PUCKER = (OUTPUTS.index(n) for n in ("jawOpen", "mouthFunnel", "mouthPucker"))
CLOSURE, ACCENT = SHAPED, SHAPED + 1


@dataclass(frozen=True, slots=True)
class LipConfig:
    """Settings of a run."""

    seed: int = 0
    sentences: int = 1500
    """Of espeak-ng; flite says a quarter as many."""
    steps: int = 3500
    batch: int = 16
    learning_rate: float = 4e-3
    drawn_share: float = 0.25
    """Samples of animators' curves for each one of synthesised voices."""
    people_share: float = 0.15
    """The same of people's lips."""


@dataclass(frozen=True, slots=True)
class Take:
    """One utterance. `known`: 0 the table's curves; 1 jaw, 2 jaw and rounding, in a scale of their own."""

    name: str
    mels: NDArray[np.float16]
    """(T, BANDS)"""
    targets: NDArray[np.float16]
    """(T, len(OUTPUTS))"""
    classes: NDArray[np.int8]
    """(T,) of NAMES."""
    known: int = 0
    loose: bool = False
    """Sound and lips have an unknown offset: the take is used once the network has found it."""


def take_of(spoken: Spoken, factor: float = 1.0) -> Take:
    """Features and the table's curves of an utterance, played `factor` times as fast (pitch and formants follow)."""
    rate = round(spoken.rate_hz * factor)
    real = rate / spoken.rate_hz
    samples = np.clip(spoken.samples * 32767.0, -32768, 32767).astype(np.int16)
    mels = features_of(Sound(0, rate, samples[:, None]))
    timing = spoken.timing
    phones = phones_of(replace(timing, starts_s=timing.starts_s / real, ends_s=timing.ends_s / real))
    return Take(spoken.voice, mels.astype(np.float16), *_curves(phones, len(mels)))


def _curves(phones: Phones, frames: int) -> tuple[NDArray[np.float16], NDArray[np.int8]]:
    curves = curves_of(phones, frames)
    columns = [MOUTH_NAMES.index(n if n in MOUTH_NAMES else f"{n}Left") for n in OUTPUTS[:SHAPED]]
    rows = [*curves.coefficients[:, columns].T, curves.closure, curves.accent]
    classes = np.full(frames, SILENCE, np.int8)
    for shape, start, end in zip(phones.shape, phones.starts_s, phones.ends_s, strict=True):
        classes[max(int(np.ceil(start * STEP)), 0) : max(int(np.ceil(end * STEP)), 0)] = shape
    return np.stack(rows, axis=1).astype(np.float16), classes


def synthesised(config: LipConfig, progress: Callable[[float], None]) -> list[Take]:
    """What espeak-ng and flite say, a third of it faster or slower by up to 18 %."""
    rng = np.random.default_rng([config.seed, 1])
    takes = []
    for number, spoken in enumerate(espeak(espeak_jobs(rng, config.sentences))):
        takes.append(take_of(spoken, float(np.exp(rng.normal(0.0, 0.1)))))
        progress(0.8 * number / config.sentences)
    count = config.sentences // 4
    for number in range(count):
        spoken = flite(FLITE[number % len(FLITE)], sentence(rng, 0.2), float(rng.uniform(0.8, 1.3)))
        takes.append(take_of(spoken, float(np.exp(rng.normal(0.0, 0.1)))))
        progress(0.8 + 0.2 * number / count)
    return takes


def real_take(known: KnownLips, loose: bool = False) -> Take:
    """A recording whose lips are known."""
    mels = features_of(known.sound)
    at, times = np.arange(len(mels)) / STEP, np.arange(len(known.coefficients)) / known.rate_hz
    targets = np.zeros((len(mels), len(OUTPUTS)), np.float32)
    for column, output in enumerate(OUTPUTS[:SHAPED]):
        source = output if output in BLENDSHAPE_NAMES else f"{output}Left"
        targets[:, column] = np.interp(at, times, known.coefficients[:, BLENDSHAPE_NAMES.index(source)])
    moves, none = bool((targets[:, FUNNEL] + targets[:, PUCKER]).std() > 5e-3), np.zeros(len(mels), np.int8)
    return Take(known.name, mels.astype(np.float16), targets.astype(np.float16), none, 1 + moves, loose)


def offset_of(net: LipNet, take: Take) -> int:
    """Frames by which a take's lips are later than the network's, at the best correlation of jaw and rounding."""
    given, meant = shown(net, take), take.targets.astype(np.float32)
    pairs = [(given[:, JAW], meant[:, JAW])]
    if take.known == 2:
        pairs.append((given[:, FUNNEL] + given[:, PUCKER], meant[:, FUNNEL] + meant[:, PUCKER]))

    def fit(lag: int) -> float:
        a, b = slice(max(-lag, 0), len(given) - max(lag, 0)), slice(max(lag, 0), len(given) - max(-lag, 0))
        return float(sum(np.nan_to_num(np.corrcoef(x[a], y[b])[0, 1]) for x, y in pairs))

    return max(range(-OFFSETS, OFFSETS + 1), key=fit)


def moved(take: Take, offset: int) -> Take:
    """A take whose lips are brought forward by `offset` frames."""
    rows = np.clip(np.arange(len(take.targets)) + offset, 0, len(take.targets) - 1)
    return replace(take, targets=take.targets[rows], loose=False)


class LipNet(nn.Module):  # type: ignore[misc]
    """The network of `speech.lips`, to be trained; besides its outputs it names the sounds, to learn what they are."""

    def __init__(self) -> None:
        super().__init__()
        self.first = nn.Linear(2 * BLOCK * BANDS, WIDTH)
        self.layers = nn.ModuleList(nn.Linear(3 * WIDTH, WIDTH) for _ in DILATIONS)
        self.out = nn.Linear(WIDTH, BLOCK * len(OUTPUTS))
        self.names = nn.Linear(WIDTH, BLOCK * len(NAMES))
        for layer in self.layers:
            nn.init.normal_(layer.weight, std=0.5 * (3 * WIDTH) ** -0.5)

    def forward(self, mels: Tensor) -> tuple[Tensor, Tensor]:
        """Outputs (B, T, len(OUTPUTS)) and log odds of names (B, T, len(NAMES)) of mels (B, T, BANDS)."""
        count, frames, _ = mels.shape
        blocks = mels[:, : frames // BLOCK * BLOCK].reshape(count, -1, BLOCK * BANDS)
        h = self.first(torch.cat([torch.cat([blocks[:, :1], blocks[:, :-1]], dim=1), blocks], dim=2))
        for layer, dilation in zip(self.layers, DILATIONS, strict=True):
            h = h + layer(_looks(torch.relu(h), dilation))
        h = torch.relu(h)
        return self.out(h).reshape(count, -1, len(OUTPUTS)), self.names(h).reshape(count, -1, len(NAMES))

    def weights(self, gains: FloatArray) -> LipWeights:
        """As they ship."""

        def matrix(layer: nn.Linear) -> FloatArray:
            return np.ascontiguousarray(layer.weight.detach().numpy().T, np.float32)

        def bias(layer: nn.Linear) -> FloatArray:
            return np.asarray(layer.bias.detach().numpy(), np.float32).copy()

        return LipWeights(
            matrix(self.first), bias(self.first), tuple(map(matrix, self.layers)), tuple(map(bias, self.layers)),
            DILATIONS, matrix(self.out), bias(self.out), gains,
        )  # fmt: skip


def _looks(h: Tensor, dilation: int) -> Tensor:
    """(B, T, 3 C): each block with those one and two dilations before it."""
    padded = nn.functional.pad(h, (0, 0, 2 * dilation, 0))
    return torch.cat([padded[:, : -2 * dilation], padded[:, dilation:-dilation], h], dim=2)


def augmented(mels: FloatArray, rng: np.random.Generator) -> FloatArray:
    """(B, T, BANDS) as other voices and loudspeakers would sound: formants, tilt, equaliser, loudness, noise."""
    count = len(mels)
    band = np.arange(BANDS)
    middle = rng.uniform(0.4, 0.6, (count, 1)) * BANDS
    warp = np.exp(rng.normal(0.0, 0.07, (count, 1)))
    source = np.clip(band * warp + rng.normal(0.0, 0.4, (count, 1)), 0, BANDS - 1.001)
    low = source.astype(int)
    share = (source - low).astype(np.float32)[:, None, :]
    rows = np.arange(count)[:, None]
    turned = mels.transpose(0, 2, 1)
    warped = turned[rows, low].transpose(0, 2, 1) * (1 - share) + turned[rows, low + 1].transpose(0, 2, 1) * share
    tilt = rng.normal(0.0, 1.0, (count, 1)) * (band - middle) / BANDS
    wave_ = rng.normal(0.0, 0.3, (count, 1)) * np.sin(
        band * rng.uniform(0.1, 0.6, (count, 1)) + rng.uniform(0, 6, (count, 1))
    )
    gain = rng.uniform(-1.4, 0.6, (count, 1))
    power = np.exp(2.5 * warped.clip(-4, 6) + 2.5 * (tilt + wave_ + gain)[:, None, :] - 6.0)
    floor = np.exp(rng.uniform(-18.0, -7.0, (count, 1)) + rng.normal(0.0, 0.8, (count, 1)) * (band - 20) / 10)
    noise = floor[:, None, :] * rng.gamma(6.0, 1 / 6.0, warped.shape)
    use = (rng.random((count, 1, 1)) < 0.6).astype(np.float32)
    return np.asarray((np.log(power + use * noise + 1e-7) + 6.0) / 2.5, np.float32)


@dataclass(frozen=True, slots=True)
class Batch:
    """Samples. `known` (B,) as of takes."""

    mels: Tensor
    targets: Tensor
    classes: Tensor
    known: Tensor


def draw(takes: Sequence[Take], weights: NDArray[np.float64], count: int, rng: np.random.Generator) -> Batch:
    """`count` segments of SEGMENT frames, each some 15 % faster or slower than it was."""
    mels = np.zeros((count, SEGMENT, BANDS), np.float32)
    targets = np.zeros((count, SEGMENT, len(OUTPUTS)), np.float32)
    classes = np.zeros((count, SEGMENT), np.int64)
    known = np.zeros(count, np.int64)
    for row, number in enumerate(rng.choice(len(takes), count, p=weights)):
        take = takes[number]
        speed = float(np.exp(rng.normal(0.0, 0.1)))
        length = SEGMENT * speed
        start = rng.uniform(-20.0, max(len(take.mels) - length + 20.0, 1.0))
        at = np.clip(start + np.arange(SEGMENT) * speed, 0, len(take.mels) - 1.001)
        low = at.astype(int)
        share = (at - low)[:, None].astype(np.float32)
        for out, source in ((mels, take.mels), (targets, take.targets)):
            out[row] = source[low] * (1 - share) + source[low + 1] * share
        classes[row] = take.classes[np.round(at).astype(int)]
        known[row] = take.known
    heard = augmented(mels, rng)
    # The network shows frame t when it has heard t + AHEAD.
    return Batch(
        torch.from_numpy(heard), torch.from_numpy(targets[:, : SEGMENT - AHEAD]),
        torch.from_numpy(classes[:, : SEGMENT - AHEAD]), torch.from_numpy(known),
    )  # fmt: skip


def correlation(a: Tensor, b: Tensor) -> Tensor:
    """(B,) of rows (B, T)."""
    a, b = a - a.mean(1, keepdim=True), b - b.mean(1, keepdim=True)
    return (a * b).sum(1) / torch.sqrt((a * a).sum(1) * (b * b).sum(1) + 1e-4)


def loss_of(net: LipNet, batch: Batch, scale: Tensor) -> Tensor:
    """Squared error over variance, correlation of jaw and rounding, closures and names of sounds."""
    outputs, names = net(batch.mels)
    outputs, names = outputs[:, AHEAD:], names[:, AHEAD:]
    timed, rounded = batch.known == 0, batch.known != 1
    jaw = correlation(outputs[..., JAW], batch.targets[..., JAW])
    rounding = correlation(outputs[..., [FUNNEL, PUCKER]].sum(-1), batch.targets[..., [FUNNEL, PUCKER]].sum(-1))
    loss = 0.6 * (1 - jaw).mean() + 0.4 * ((1 - rounding) * rounded).mean()
    if timed.any():
        given, meant = outputs[timed], batch.targets[timed]
        error = ((given - meant) / scale).square()
        loss = loss + 0.5 * error[..., :SHAPED].mean() + 0.1 * error[..., ACCENT].mean()
        loss = loss + 2.0 * nn.functional.binary_cross_entropy_with_logits(
            given[..., CLOSURE], (2.5 * meant[..., CLOSURE] - 1.5).clamp(min=0.0), pos_weight=torch.tensor(2.0)
        )
        loss = loss + 0.3 * nn.functional.cross_entropy(names[timed].flatten(0, 1), batch.classes[timed].flatten())
    return loss


def train(
    takes: Sequence[Take],
    config: LipConfig,
    output: Path,
    *,
    start: dict[str, Any] | None = None,
    stopped: Callable[[], bool] = lambda: False,
    progress: Callable[[int, float], object] = lambda step, loss: None,
) -> LipNet:
    """Train on takes and keep `output`/checkpoint.pt up to date.

    `start`: what a checkpoint holds.
    """
    torch.set_num_threads(1)
    torch.manual_seed(config.seed)
    net = LipNet()
    optimiser = torch.optim.AdamW(net.parameters(), lr=config.learning_rate, weight_decay=0.01)
    one_cycle = torch.optim.lr_scheduler.OneCycleLR
    schedule = one_cycle(optimiser, config.learning_rate, total_steps=config.steps, pct_start=0.1)
    parts = {"net": net, "optimiser": optimiser, "schedule": schedule}
    step, average = 0, {k: v.detach().clone() for k, v in net.state_dict().items()}
    offsets: dict[str, int] = {}
    if start is not None:
        for name, part in parts.items():
            part.load_state_dict(start[name])
        step, average, offsets = start["step"], start["average"], start["offsets"]
    tight, loose = [t for t in takes if not t.loose], [t for t in takes if t.loose]
    takes = [*tight, *(moved(t, offsets[t.name]) for t in loose if t.name in offsets)]
    weights = _shares(takes, config)
    synthetic = np.concatenate([t.targets for t in takes if t.known == 0]).astype(np.float32)
    scale = torch.from_numpy(np.maximum(synthetic.std(0), 0.02))

    def save() -> None:
        state = {name: part.state_dict() for name, part in parts.items()}
        facts = {"step": step, "average": average, "config": asdict(config), "offsets": offsets}
        save_state(output / CHECKPOINT, {**state, **facts})

    while step < config.steps and not stopped():
        if loose and not offsets and step >= FOUND * config.steps:
            mean = LipNet()
            mean.load_state_dict(average)
            offsets = {t.name: offset_of(mean, t) for t in loose}
            takes = [*tight, *(moved(t, offsets[t.name]) for t in loose)]
            weights = _shares(takes, config)
        batch = draw(takes, weights, config.batch, np.random.default_rng([config.seed, 2, step]))
        loss = loss_of(net, batch, scale)
        optimiser.zero_grad()
        loss.backward()
        nn.utils.clip_grad_norm_(net.parameters(), 1.0)
        optimiser.step()
        schedule.step()
        step += 1
        share = min(0.998, step / (step + 50))
        for name, value in net.state_dict().items():
            average[name].lerp_(value.detach(), 1 - share)
        if step % 100 == 0:
            progress(step, float(loss.detach()))
        if step % 500 == 0:
            save()
    save()
    net.load_state_dict(average)
    return net


def _shares(takes: Sequence[Take], config: LipConfig) -> NDArray[np.float64]:
    """How often each take is drawn: by its length, within synthesised voices, animators' curves and people."""
    length = np.array([len(t.mels) for t in takes], float)
    people = np.array([t.name.startswith(_PERSON) for t in takes])
    drawn = np.array([t.known > 0 for t in takes]) & ~people
    length *= [1.0 if t.name.startswith(LANGUAGES) else _NATURAL for t in takes]
    for chosen, share in ((people, config.people_share), (drawn, config.drawn_share), (~people & ~drawn, 1.0)):
        if chosen.any():
            length[chosen] *= share / length[chosen].sum()
    return np.asarray(length / length.sum())


def shown(net: LipNet, take: Take) -> FloatArray:
    """(T, len(OUTPUTS)) that the network shows for a take."""
    more = AHEAD + len(take.mels) % BLOCK
    mels = np.concatenate([take.mels, np.repeat(take.mels[-1:], more, axis=0)]).astype(np.float32)
    with torch.no_grad():
        outputs, _ = net(torch.from_numpy(mels[None]))
    return np.asarray(outputs[0, AHEAD : AHEAD + len(take.mels)])


def gains_of(given: Sequence[FloatArray], meant: Sequence[FloatArray]) -> FloatArray:
    """(SHAPED,) by which outputs have to be stretched to reach as far as the table's curves (97th percentile)."""
    reach = [np.quantile(np.concatenate(rows)[:, :SHAPED], 0.97, axis=0) for rows in (given, meant)]
    return np.asarray(np.clip(reach[1] / np.maximum(reach[0], 0.02), 1.0, 1.6), np.float32)


def closure_bias(given: Sequence[FloatArray], meant: Sequence[FloatArray]) -> float:
    """What to add to the log odds of closed lips, so that a mouth shows most of the closures and invents few."""
    truth = [runs(row[:, CLOSURE] > 0.9) for row in meant]

    def score(bias: float) -> float:
        counts = [closure_counts(row[:, CLOSURE] + bias > 0.0, there) for row, there in zip(given, truth, strict=True)]
        return f1(*np.sum(counts, axis=0).tolist())

    return max((0.25 * i for i in range(-8, 9)), key=lambda bias: (score(bias), -abs(bias)))


def write(net: LipNet, takes: Sequence[Take], path: Path) -> LipWeights:
    """The weights as they ship. Raises ReactdiffError where they cannot be written."""
    chosen = [t for t in takes if t.known == 0][::20]
    given, meant = [shown(net, t) for t in chosen], [t.targets.astype(np.float32) for t in chosen]
    weights = net.weights(gains_of(given, meant))
    weights.out_bias[CLOSURE :: len(OUTPUTS)] += closure_bias(given, meant)
    with explained(OSError, "the network of the lips cannot be written", where=path):
        write_arrays(path, weights.arrays())
    return weights


def material(
    config: LipConfig,
    output: Path,
    facegood: Path | None,
    names: Path | None,
    clips: Sequence[Path],
    phrases: Path | None,
    progress: Callable[[float], None],
) -> list[Take]:
    """All that is learnt from: what `output` keeps of an earlier call, or made now and kept there.

    Raises:
        MissingExtraError: espeak-ng or flite is missing.
        MediaError: a recording cannot be read.
    """
    path = output / _TAKES
    if path.exists():
        return load_takes(path)
    output.mkdir(parents=True, exist_ok=True)
    takes = synthesised(config, lambda share: progress(0.7 * share))
    if phrases is not None:
        takes += [take_of(spoken, factor) for factor in _FACTORS for spoken in aligned(phrases)]
    if facegood is not None and names is not None:
        takes += [real_take(known) for known in read_facegood(facegood, names)]
    for number, clip in enumerate(clips):
        known = perceived_lips(clip)
        takes.append(real_take(replace(known, name=f"{_PERSON}{known.name}"), loose=True))
        progress(0.7 + 0.3 * (number + 1) / len(clips))
    save_takes(takes, path)
    return takes


def run(
    takes: Sequence[Take],
    config: LipConfig,
    output: Path,
    *,
    resume: bool,
    stopped: Callable[[], bool],
    progress: Callable[[str], object],
) -> int:
    """Train, from the checkpoint in `output` with `resume`, and write the network there; returns the steps done.

    Raises:
        ReactdiffError: there is nothing to resume, a run is there that would be begun over, or the disk is full.
    """
    path = output / CHECKPOINT
    if not resume:
        refuse_to_begin_over(output)
    start = load_state(path) if resume else None
    net = train(
        takes, config, output, start=start, stopped=stopped, progress=lambda s, x: progress(f"step {s}: loss {x:.3f}")
    )
    write(net, takes, output / FILE)
    return int(load_state(path)["step"])


def save_takes(takes: Sequence[Take], path: Path) -> None:
    """Keep takes in a file, so that a resumed run need not make them again."""
    names = json.dumps([[t.name, t.known, t.loose, len(t.mels)] for t in takes])
    arrays = {n: np.concatenate([getattr(t, n) for t in takes]) for n in ("mels", "targets", "classes")}
    write_arrays(path, {**arrays, "names": np.array(names)})


def load_takes(path: Path) -> list[Take]:
    """The takes of `save_takes`."""
    with np.load(path) as file:
        mels, targets, classes = file["mels"], file["targets"], file["classes"]
        rows = json.loads(str(file["names"]))
    takes, at = [], 0
    for name, known, loose, length in rows:
        span = slice(at, at + length)
        takes.append(Take(name, mels[span], targets[span], classes[span], known, loose))
        at += length
    return takes
