"""Nods: drawn once, at the rates that the head tells, with people's shape; part of what is shown and of no past."""

from __future__ import annotations

import hashlib
import json
import zipfile
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from reactdiff_ros.evaluation.metrics.events import nods as found_nods
from reactdiff_ros.model.backends.variants import DECODED_BEFORE
from reactdiff_ros.model.conditions import CONTROL_NAMES
from reactdiff_ros.model.plan.nod_head import (
    AGES,
    CARD,
    CONDITION_COUNT,
    HIDDEN,
    LOOKS,
    MOST_RATE,
    NODS,
    NodHead,
    read_nod_head,
)
from reactdiff_ros.model.plan.nods import Nods, nod_conditions
from reactdiff_ros.model.plan.sampler import CALM, Conditions, ordinary
from reactdiff_ros.model.runtime import VAE_CONTEXT

WIDTH, SPEECH, HOP = 4, 16, 4


def head(rate: float = 0.0, *, cue: float = 0.0) -> NodHead:
    """Nods begin with `rate` in a frame, and e ** cue times as often where the newest token's first number is large."""
    tokens = np.zeros((LOOKS * WIDTH, HIDDEN), dtype=np.float32)
    tokens[0, 0] = 100.0
    out = np.zeros(HIDDEN, dtype=np.float32)
    out[0] = cue
    return NodHead(
        tokens=tokens, known=np.zeros((LOOKS, HIDDEN), dtype=np.float32),
        conditions=np.zeros((CONDITION_COUNT, HIDDEN), dtype=np.float32),
        ages=np.zeros((AGES, HIDDEN), dtype=np.float32), out=out,
        drive=np.zeros(CONDITION_COUNT, dtype=np.float32), bias=np.float32(np.log(max(rate, 1e-12))),
    )  # fmt: skip


def run(
    nods: Nods, frames: int, told: Conditions, tokens: np.ndarray | None = None, frames_planned: int = 12
) -> np.ndarray:
    """Pitch (N, frames) as shown, plan after plan."""
    count = len(told)
    given = np.zeros((count, frames + SPEECH, WIDTH), dtype=np.float32) if tokens is None else tokens
    out = np.zeros((count, frames), dtype=np.float32)
    for slot in range(0, frames, HOP):
        speaker = given[:, slot : slot + SPEECH]
        plan = nods.plan(slot, frames_planned, HOP, speaker, np.zeros((count, SPEECH), np.float32), told, 1)
        out[:, slot : slot + HOP] = plan[:, :HOP]
    return out


def test_nods_come_at_the_rate_that_the_head_tells_and_look_like_nods() -> None:
    count, seconds, rate = 40, 240, 0.004
    pitch = run(Nods(head(0.004), range(count)), seconds * 25, ordinary(count))
    begins = (np.diff((pitch > 0).astype(int), axis=1) == 1).sum() / count / (seconds / 60)
    assert begins == pytest.approx(rate * 25 * 60 * (1 - rate * 35), rel=0.1)  # none begins while one goes on
    seen = found_nods(pitch)
    assert len(seen) / count / (seconds / 60) > 0.4 * begins  # the smallest are below three degrees
    assert np.degrees(np.quantile(seen.size, [0.25, 0.75])) == pytest.approx([4.1, 7.1], abs=1.2)


def test_nods_follow_cues_and_not_their_absence() -> None:
    count, frames = 60, 1000
    tokens = np.zeros((count, frames + SPEECH, WIDTH), dtype=np.float32)
    cued = np.zeros(frames, dtype=bool)
    for start in range(100, 900, 200):
        tokens[:, SPEECH + start : SPEECH + start + 10, 0] = 1.0
        cued[start : start + 25] = True
    pitch = run(Nods(head(0.002, cue=4.0), range(count)), frames, ordinary(count), tokens)
    begins = np.diff((pitch > 0).astype(int), axis=1, prepend=0) == 1
    assert begins[:, cued].mean() > 8 * begins[:, ~cued].mean()


def test_a_plan_that_is_drawn_again_keeps_what_was_decided() -> None:
    told, missing = ordinary(8), np.zeros((8, SPEECH), np.float32)
    tokens = np.zeros((8, SPEECH, WIDTH), dtype=np.float32)
    nods = Nods(head(0.05), range(8))
    first = nods.plan(100, 12, 8, tokens, missing, told, 1)
    again = nods.plan(102, 12, 4, tokens, missing, told, 1)  # new evidence: the next plan comes early
    np.testing.assert_array_equal(again[:, :6], first[:, 2:8])
    assert first.any()


def test_the_same_seed_is_the_same_nods_whoever_else_listens() -> None:
    alone = run(Nods(head(0.01), [7]), 600, ordinary(1))
    among = run(Nods(head(0.01), [3, 7, 9]), 600, ordinary(3))
    np.testing.assert_allclose(among[1], alone[0], atol=1e-6)
    assert np.abs(among[0] - among[1]).max() > 0.02


def test_who_forgets_begins_anew_without_a_nod() -> None:
    nods = Nods(head(0.1), range(20))
    run(nods, 100, ordinary(20))
    nods.forget()
    none = np.ones((20, SPEECH), dtype=np.float32)
    quiet = replace(nods._head, bias=np.float32(-30.0))
    nods._head = quiet
    assert not nods.plan(500, 12, 4, np.zeros((20, SPEECH, WIDTH), np.float32), none, ordinary(20), 1).any()


def test_rates_are_bounded_whatever_comes_in() -> None:
    wild = replace(head(), bias=np.float32(1e9))
    rates = wild.rates(np.zeros((1, SPEECH, WIDTH), np.float32), np.ones((1, SPEECH), np.float32),
                       np.zeros((1, CONDITION_COUNT), np.float32), np.array([[1, 50]]))  # fmt: skip
    assert rates.tolist() == [[pytest.approx(MOST_RATE)] * 2]


def test_sharper_rates_go_further_up_and_down_and_are_the_same_where_nothing_is_seen() -> None:
    seen = np.zeros((3, SPEECH, WIDTH), dtype=np.float32)
    seen[:, -1, 0] = (-1.0, 0.0, 1.0)
    here = np.zeros((3, SPEECH), np.float32), np.zeros((3, CONDITION_COUNT), np.float32), np.ones((3, 1), dtype=int)
    learnt, sharp = (head(0.01, cue=1.0).rates(seen, *here, sharpness=s)[:, 0] for s in (1.0, 2.0))
    np.testing.assert_allclose(np.log(sharp / 0.01), 2 * np.log(learnt / 0.01), atol=1e-3)
    assert learnt[1] == sharp[1]
    assert sharp[0] < learnt[0] < learnt[1] < learnt[2] < sharp[2]


def test_conditions_that_are_not_given_are_zero() -> None:
    told = ordinary(1, np.full((1, len(CONTROL_NAMES)), 0.5, dtype=np.float32))
    nothing = replace(told, controls_given=np.zeros_like(told.controls_given))
    assert nod_conditions(told)[0].tolist() == [0.5, 0.5, 0.5, 1, 1, 1, 0, 0]
    assert not nod_conditions(nothing).any()


WRONG = (ValueError, OSError, KeyError, TypeError, zipfile.BadZipFile, EOFError)


def put(folder: Path, content: bytes | None = None, **more: object) -> None:
    """A head and its card into a folder."""
    path = folder / NODS
    head(0.01, cue=2.0).write(path)
    if content is not None:
        path.write_bytes(content)
    told = {"weights": "abc", "sha256": hashlib.sha256(path.read_bytes()).hexdigest(), **more}
    (folder / CARD).write_text(json.dumps(told))


def test_a_file_gives_the_head_back(tmp_path: Path) -> None:
    assert read_nod_head(tmp_path, "abc", WIDTH) is None
    put(tmp_path)
    again = read_nod_head(tmp_path, "abc", WIDTH)
    assert again is not None
    assert again.bias == pytest.approx(np.log(0.01), abs=0.01)
    assert again.tokens.shape == (LOOKS * WIDTH, HIDDEN)
    assert again.digest == hashlib.sha256((tmp_path / NODS).read_bytes()).hexdigest()[:12]


def test_another_file_and_other_weights_are_refused(tmp_path: Path) -> None:
    put(tmp_path)
    for weights, width, says in (("other", WIDTH, "reads tokens of the weights abc"), ("abc", WIDTH + 1, "tokens is")):
        with pytest.raises(ValueError, match=says):
            read_nod_head(tmp_path, weights, width)
    (tmp_path / NODS).write_bytes(b"")
    with pytest.raises(ValueError, match="not the file"):
        read_nod_head(tmp_path, "abc", WIDTH)
    for content in (b"", b"nothing of the kind", b"PK\x03\x04"):
        put(tmp_path, content)
        with pytest.raises(WRONG):
            read_nod_head(tmp_path, "abc", WIDTH)
    for card in ("", "[]", "{}", '{"weights": 3}', "[" * 100_000):
        (tmp_path / CARD).write_text(card)
        with pytest.raises((*WRONG, RecursionError)):
            read_nod_head(tmp_path, "abc", WIDTH)


def test_engines_are_built_for_all_that_is_decoded_with_a_plan() -> None:
    assert DECODED_BEFORE == VAE_CONTEXT + CALM - 1
