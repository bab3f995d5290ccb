from __future__ import annotations

import errno
import json
import math
import os
import zipfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from reactdiff_ros.evaluation.results import (
    HEAD,
    Figure,
    Info,
    Item,
    Metric,
    Result,
    ResultError,
    System,
    read_result,
    versions_here,
    write_result,
)

FRAMES = 50


def curves(seed: int) -> np.ndarray:
    return np.random.default_rng(seed).random((FRAMES, 58), dtype=np.float32)


def small() -> Result:
    speaker = curves(1)
    speaker[3] = np.nan
    items = (
        Item("a", 2.0, group="p1", start_ns=7, speaker=speaker, speech=np.ones(FRAMES, np.float32), truth=curves(2)),
        Item("b/2 ä", 2.0, notes=("the sound began late", "x")),
    )
    model = System(
        "model", "listener", "Model", values={"FRC": np.array([0.5, np.nan])}, figures={"FRDvs": Figure(0.1, 0.0)},
        streams={"a": curves(3)}, compute_s=np.array([0.01, 0.02]), lag_s=np.array([0.1]), look_ahead_s=0.0,
        causal=True,
    )  # fmt: skip
    info = Info(
        "recordings", "Two people", subject="model", people=True, seeds={"run": 3}, versions=versions_here(),
        settings={"steps": np.int64(8), "nothing": math.inf, "folder": Path("x")}, failed=("c: no face",),
    )  # fmt: skip
    return Result(info, items, (model, System("mime")), (Metric("own", "Own", "s", "lower", "time", "Mine."),))


@pytest.fixture
def written(tmp_path: Path) -> Path:
    return write_result(small(), tmp_path / "deep" / "run.npz")


def test_what_was_written_is_read(written: Path) -> None:
    there, wanted = read_result(written), small()
    assert [item.id for item in there.items] == ["a", "b/2 ä"]
    assert there.items[1] == wanted.items[1]
    for curve in ("speaker", "speech", "truth"):
        np.testing.assert_array_equal(getattr(there.items[0], curve), getattr(wanted.items[0], curve))
    model = there.subject
    assert model is not None
    np.testing.assert_array_equal(model.values["FRC"], [0.5, np.nan])
    np.testing.assert_array_equal(model.streams["a"], curves(3))
    assert (model.figures["FRDvs"].value, math.isnan(model.figures["FRDvs"].high)) == (0.1, True)
    assert (model.look_ahead_s, model.causal, model.lag_s.tolist()) == (0.0, True, [0.1])
    assert there.metrics == wanted.metrics
    assert there.info.settings == {"steps": 8, "nothing": None, "folder": "x"}
    assert (there.info.failed, there.minutes) == (("c: no face",), pytest.approx(4 / 60))


def test_a_full_disk_leaves_what_was_there(written: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    before = written.read_bytes()

    def full(_: int) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(os, "fsync", full)
    for path in (written, written.parent / "other.npz"):
        with pytest.raises(ResultError, match="No space left"):
            write_result(small(), path, overwrite=True)
    assert [p.name for p in written.parent.iterdir()] == ["run.npz"]
    assert written.read_bytes() == before


def rewritten(path: Path, member: str, change: Callable[[bytes], bytes]) -> Path:
    """A copy with one member changed."""
    out = path.with_name("changed.npz")
    with zipfile.ZipFile(path) as old, zipfile.ZipFile(out, "w") as new:
        for name in old.namelist():
            new.writestr(name, change(old.read(name)) if name == member else old.read(name))
    return out


def test_what_a_later_writer_adds_is_passed_by_and_an_array_that_claims_too_much_is_refused(written: Path) -> None:
    info = {"kind": "arrays", "title": "t", "mood": "good"}
    path = rewritten(written, HEAD, lambda head: json.dumps({**json.loads(head), "info": info}).encode())
    assert read_result(path).info.title == "t"
    name = "systems/model/streams/00000.npy"
    path = rewritten(written, name, lambda data: data.replace(b"(50, 58)", b"(900000000, 58)"))
    with pytest.raises(ResultError, match="not a complete result"):
        read_result(path)


def test_other_files_are_no_results(tmp_path: Path) -> None:
    path = tmp_path / "x.npz"
    np.savez(path, steps=np.zeros(3))
    for other, sentence in ((path, "not a result of 'reactdiff evaluate'"), (tmp_path, "not a complete|no such")):
        with pytest.raises(ResultError, match=sentence):
            read_result(other)
