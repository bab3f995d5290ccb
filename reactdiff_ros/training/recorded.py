"""Recorded people as listeners to learn from: which recordings, in which pieces, completed where they show a part."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Final

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from reactdiff_ros.attributes import ATTRIBUTE_COUNT
from reactdiff_ros.coefficients import COEFFICIENT_COUNT, INDEX, LOWER, UPPER
from reactdiff_ros.errors import ReactdiffError
from reactdiff_ros.model.backends.runtime import VAE_CONTEXT
from reactdiff_ros.model.diffusion.conditions import CONTROL_COUNT, STYLE_COUNT
from reactdiff_ros.model.diffusion.latents import GROUP_OF_COEFFICIENT, GROUPS, latents_observed
from reactdiff_ros.model.diffusion.tokens import FRAME_S, featurize, withhold
from reactdiff_ros.model.style import style_of
from reactdiff_ros.recordings.datasets import public
from reactdiff_ros.recordings.datasets.dyads import others_of, read_dyads
from reactdiff_ros.recordings.datasets.recording import Recording, VoiceOf, stack
from reactdiff_ros.recordings.datasets.recordings import recordings
from reactdiff_ros.types import FloatArray

from .config import NAMELESS, TrainConfig, data_of
from .data import MARGIN, Pool, held, joined, outside_fold, tail, with_margin
from .nets import STIMULUS_COUNT

_EVERY = 5
"""One in this many frames is fitted to: neighbours say nearly the same."""


class Completion:
    """Coefficients that a recording leaves out of a group that it shows in part, from those that it shows.

    Least-squares maps fitted on simulated listeners (..., 58): the autoencoder's group needs all of its coefficients,
    and the upper lip goes with a smile. Groups of which nothing was measured stay as they are.
    """

    def __init__(self, listener: FloatArray) -> None:
        self._known = listener.reshape(-1, COEFFICIENT_COUNT)[::_EVERY].astype(np.float64)
        self._maps: dict[tuple[tuple[int, ...], tuple[int, ...]], NDArray[np.float64]] = {}

    def __call__(self, listener: FloatArray, seen: NDArray[np.bool_]) -> FloatArray:
        """Listeners (..., 58) with what was not `seen` (..., 58) of a group filled in, frame by frame: recordings show
        different coefficients, and a coefficient can be lost for a while.
        """
        flat, shown = listener.reshape(-1, COEFFICIENT_COUNT), seen.reshape(-1, COEFFICIENT_COUNT)
        out = flat.astype(np.float32)
        for group in GROUPS:
            columns = np.array(group.coefficients)
            patterns, which = np.unique(_codes(shown[:, columns]), return_inverse=True)
            for i, pattern in enumerate(patterns):
                bits = (int(pattern) >> np.arange(len(columns))) & 1 == 1
                if not bits.any() or bits.all():
                    continue
                rows, have, lack = np.flatnonzero(which == i), columns[bits], columns[~bits]
                guess = flat[np.ix_(rows, have)] @ self._map(have, lack)
                out[np.ix_(rows, lack)] = np.clip(guess, LOWER[lack], UPPER[lack])
        return out.reshape(listener.shape)

    def _map(self, have: NDArray[np.intp], lack: NDArray[np.intp]) -> NDArray[np.float64]:
        """(have, lack) weights, fitted once."""
        key = (tuple(have.tolist()), tuple(lack.tolist()))
        if key not in self._maps:
            self._maps[key] = np.linalg.lstsq(self._known[:, have], self._known[:, lack], rcond=1e-6)[0]
        return self._maps[key]


def _codes(shown: NDArray[np.bool_]) -> NDArray[np.int64]:
    """(n,) a number for each pattern of flags (n, width), width below 63."""
    return np.asarray(shown @ (np.int64(1) << np.arange(shown.shape[1], dtype=np.int64)))


def public_recordings(data: Sequence[str], names_file: str = "", voice_of: VoiceOf = None) -> Iterator[Recording]:
    """The recordings of data sets, each KIND:DIR, set by set, one at a time.

    Args:
        data: the sets.
        names_file: of FaceVerse's expression names; "": only the heads of FaceVerse's faces are observed.
        voice_of: makes the speaker's voice of their sound; None: the voice is unobserved and no sound is read.

    Raises:
        ReactdiffError: a set is not laid out as its kind says, or the names cannot be read.
    """
    names = public.expression_names(Path(names_file)) if names_file else None
    for kind, folder in map(data_of, data):
        yield from public.recordings(kind, folder, names=names, voice_of=voice_of)


AT_ONCE: Final = 64
"""Recordings that are made ready together."""


class Recorded(list[Recording]):
    """Recordings of one length that a run may train on; `left_out` says in words what of its data is not used."""

    left_out: tuple[str, ...] = ()

    @property
    def sources(self) -> list[str]:
        """Where they are from, as the settings name it: dyads, recordings, a kind of public set."""
        return sorted({r.source for r in self})


def training_recordings(config: TrainConfig, voice_of: VoiceOf = None) -> Recorded:
    """The recordings that this run may train on: all, or those outside its fold; none without a folder.

    Args:
        config: folders, fold, and what to do without.
        voice_of: makes the speaker's voice of the sound of public sets; None: it is unobserved there.

    Raises:
        ReactdiffError: a folder, a file in it or the fold is wrong; or the recordings hold no listener.
    """
    if "real" in config.ablate:
        return Recorded()
    alone: list[Path] = []
    found = read_dyads(Path(config.dyads)) if config.dyads else []
    found += list(recordings(Path(config.recordings), on_alone=alone.append)) if config.recordings else []
    found += public_recordings(config.data, config.expression_names, voice_of if config.hears_sets else None)
    found = outside_fold(found, config.fold)
    least = config.frames + tail(config.shape) + 1
    used = Recorded(pieces(found, least))
    short = Counter(r.source for r in found if r.frames < least)
    used.left_out = (
        *([f"{len(alone)} of recordings without a listener"] if alone else []),
        *(f"{n} of {source} shorter than {least * FRAME_S:.1f} s" for source, n in short.items()),
    )
    return used


def summary_of(found: Recorded) -> str:
    """A sentence on recordings: how much there is of each source, and what was left out."""
    counts = Counter(r.source for r in found)
    each = ", ".join(f"{n} of {source}" for source, n in counts.items())
    seconds = found[0].frames * FRAME_S
    used = f"recorded people: {each}, each {seconds:.0f} s, {len(found) * seconds / 60:.0f} min of listening in all"
    return "; left out: ".join([used, *([", ".join(found.left_out)] if found.left_out else [])])


def pieces(found: Sequence[Recording], least: int) -> list[Recording]:
    """Recordings cut to pieces of one length, that of the shortest; what is shorter than `least` frames is left out.

    Raises:
        ReactdiffError: there are recordings, and all are shorter.
    """
    long = [r for r in found if r.frames >= least]
    if found and not long:
        todo = f"{least * FRAME_S:.0f} s and longer"
        raise ReactdiffError("all recordings are too short to train on", where=found[0].name, todo=todo)
    length = min((r.frames for r in long), default=0)
    return [_piece(r, start, length) for r in long for start in range(0, r.frames - length + 1, length)]


def _piece(r: Recording, start: int, length: int) -> Recording:
    span = slice(start, start + length)
    if start == 0 and length == r.frames:
        return r
    return replace(
        r, speaker=r.speaker.at(span), listener=r.listener[span], observed=r.observed[span],
        attributes=r.attributes[span] if r.attributes is not None else None,
    )  # fmt: skip


def real_pool(found: Sequence[Recording], completion: Completion, seed: int, without: Sequence[str] = ()) -> Pool:
    """Recorded people as a pool; T is the length of the shortest. Style is measured on another of their sessions.

    What a recording lacks of a group that it shows in part, or for a while, is completed. A few recordings at a time
    are worked on: there may be many hours of them.
    """
    sessions = _sessions(found)
    frames = min(r.frames for r in found)
    styles = [_style(r, sessions, np.random.default_rng([seed, i, 13])) for i, r in enumerate(found)]
    parts = [slice(start, start + AT_ONCE) for start in range(0, len(found), AT_ONCE)]
    return joined([_part(found[part], frames, styles[part], completion, without) for part in parts])


def _part(
    found: Sequence[Recording], frames: int, styles: Sequence[tuple[FloatArray, FloatArray]], completion: Completion,
    without: Sequence[str],
) -> Pool:  # fmt: skip
    speaker, listener, seen = stack(found, frames)
    withhold(speaker, without)
    features, observed = featurize(speaker)
    style, given = (np.concatenate(column) for column in zip(*styles, strict=True))
    seen = _settled(np.pad(seen, ((0, 0), (MARGIN, 0), (0, 0)), mode="edge"))
    known = known_latents(seen)
    labels, labelled = _labels(found, known)
    count = len(found)
    smile = speaker.coefficients[..., INDEX["mouthSmileLeft"]]
    return Pool.of(
        features=features, observed=observed, listener=completion(with_margin(_quiet(listener)), seen), seen=seen,
        known=known, controls=np.zeros((count, CONTROL_COUNT)), style=style, style_given=given.astype(np.float32),
        real=np.ones(count), salience=held(np.clip(2 * smile, 0, 1)),
        stimulus=np.zeros((*smile.shape, STIMULUS_COUNT)), labels=labels, labelled=labelled,
    )  # fmt: skip


def _labels(found: Sequence[Recording], known: NDArray[np.bool_]) -> tuple[FloatArray, NDArray[np.bool_]]:
    """Attributes (W, MARGIN + T, 25), 0 where there are none, and frames (W, MARGIN + T) to learn them from.

    Those are the ones in which every group of the face is `known` (W, MARGIN + T, L): a label of a smile says nothing
    about a face whose mouth was not measured.
    """
    labels = np.zeros((*known.shape[:2], ATTRIBUTE_COUNT), dtype=np.float32)
    labelled = known.all(-1)
    labelled[:, :MARGIN] = False
    for i, recording in enumerate(found):
        if recording.attributes is None:
            labelled[i] = False
        else:
            labels[i, MARGIN:] = recording.attributes[: known.shape[1] - MARGIN]
    return labels, labelled


def _sessions(found: Sequence[Recording]) -> dict[str, list[Recording]]:
    """The recordings of each listener who is known by name."""
    sessions: dict[str, list[Recording]] = {}
    for recording in found:
        if recording.source not in NAMELESS:
            sessions.setdefault(recording.person, []).append(recording)
    return sessions


def _style(
    recording: Recording, sessions: dict[str, list[Recording]], rng: np.random.Generator
) -> tuple[FloatArray, FloatArray]:
    """(1, 8) values and flags, from another session of the same listener; not given where there is none, and in
    entries of what was seen too seldom there.
    """
    others = others_of(recording, sessions.get(recording.person, ()))
    if not others:
        return np.zeros((1, STYLE_COUNT), dtype=np.float32), np.zeros((1, STYLE_COUNT), dtype=np.float32)
    other = others[int(rng.integers(len(others)))]
    listener, observed = other.listener_seen()
    return style_of(_quiet(listener[None]), observed)


def _quiet(listener: FloatArray) -> FloatArray:
    """Measured curves (..., T, 58) without the jitter of measuring: binomial over five frames, centred."""
    padded = np.concatenate([listener[..., :1, :]] * 2 + [listener] + [listener[..., -1:, :]] * 2, axis=-2)
    n = listener.shape[-2]
    parts = [weight * padded[..., i : i + n, :] for i, weight in enumerate((1, 4, 6, 4, 1))]
    return np.asarray(np.sum(parts, axis=0) / 16, np.float32)


def _settled(seen: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """(W, T, 58) where `_quiet` mixed in no gap."""
    padded = np.pad(seen, ((0, 0), (2, 2), (0, 0)), mode="edge")
    return np.asarray(np.lib.stride_tricks.sliding_window_view(padded, 5, axis=1).all(-1))


def known_latents(seen: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """Which latents (W, T, L) of measured coefficients (W, T, 58) can be trusted: no gap in the encoder's context."""
    per_frame = latents_observed(seen)
    padded = np.pad(per_frame, ((0, 0), (VAE_CONTEXT, 0), (0, 0)), mode="edge")
    windows = np.lib.stride_tricks.sliding_window_view(padded, VAE_CONTEXT + 1, axis=1)
    return np.asarray(windows.all(-1))


def group_seen(seen: Tensor) -> Tensor:
    """(..., 58) which coefficients belong to a group of which something was measured."""
    latents = latents_observed(seen.numpy())
    groups = np.stack([latents[..., group.latents.start] for group in GROUPS], axis=-1)
    return torch.from_numpy(groups[..., GROUP_OF_COEFFICIENT])
