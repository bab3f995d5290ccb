"""Which recorded people a run meets, what it tells of those that it leaves out, and what a style is measured on."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from small_run import SHAPE, config, write_dyads

torch = pytest.importorskip("torch", reason="torch is not installed (requirements/train.txt)")
pytest.importorskip("accelerate", reason="accelerate is not installed (requirements/train.txt)")

from reactdiff_ros.cli.main import main  # noqa: E402
from reactdiff_ros.recordings.datasets.dyads import read_dyads  # noqa: E402
from reactdiff_ros.recordings.datasets.recording import Recording  # noqa: E402
from reactdiff_ros.recordings.datasets.recordings import Extracted, save  # noqa: E402
from reactdiff_ros.recordings.datasets.speaker import speaker_of  # noqa: E402
from reactdiff_ros.training.checkpoints import read_checkpoint  # noqa: E402
from reactdiff_ros.training.completion import Completion  # noqa: E402
from reactdiff_ros.training.data import tail  # noqa: E402
from reactdiff_ros.training.history import people_seen, runs_of  # noqa: E402
from reactdiff_ros.training.recorded import real_pool, told_of, training_recordings  # noqa: E402
from reactdiff_ros.training.train import Trainer  # noqa: E402

LONG, SHORT = 50 + tail(SHAPE) + 1, 50


def write_recordings(folder: Path, *frames: int, alone: int = 0) -> Path:
    """Files of `reactdiff extract`: one of each length with a listener, and some without."""
    rng = np.random.default_rng(0)
    for number, length in enumerate([*frames, *[LONG] * alone]):
        values = rng.uniform(0, 0.5, (length, 58)).astype(np.float32)
        listens = number < len(frames)
        speaker = speaker_of(length, coefficients=values, observed=np.ones(58, bool))
        made = Extracted(
            f"p{number}", "1", "b", speaker, np.arange(length, dtype=np.int64),
            values if listens else None, np.ones((length, 58), bool) if listens else None,
        )  # fmt: skip
        save(folder / f"{number}.npz", made)
    return folder


def test_recordings_of_nobody_who_listens_are_one_sentence(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    folder = write_recordings(tmp_path / "alone", alone=2)
    assert main(["dev", "train", "--output", str(tmp_path / "run"), "--recordings", str(folder), "--steps", "1"]) == 1
    err = capfd.readouterr().err
    assert f"no recording of the folder holds a listener ({folder})" in err
    assert "reactdiff extract --pair" in err
    assert "Traceback" not in err
    assert not (tmp_path / "run" / "checkpoint.pt").exists()


def test_what_is_left_out_is_told_beside_what_is_used(tmp_path: Path) -> None:
    used = training_recordings(config(recordings=str(write_recordings(tmp_path, LONG, SHORT, LONG, alone=3))))
    assert [r.pair for r in used] == ["p0", "p2"]
    sentence = told_of(used)
    assert sentence.startswith("recorded people: 2 of recordings, each")
    assert f"left out: 3 of recordings without a listener, 1 of recordings shorter than {LONG / 25:.1f} s" in sentence
    assert "left out" not in told_of(training_recordings(config(dyads=str(write_dyads(tmp_path / "dyads")))))


def test_the_manifest_names_the_people_whom_the_run_met(tmp_path: Path) -> None:
    """All of a lab's own recordings are too short, beside calls that are not: it learnt of the calls alone."""
    given = {
        "recordings": str(write_recordings(tmp_path / "own", SHORT)),
        "dyads": str(write_dyads(tmp_path / "dyads")),
    }
    trainer = Trainer(config(**given, steps=2, vae_steps=1), tmp_path / "run")
    assert "1 of recordings shorter" in told_of(trainer.recordings)
    list(trainer.run())
    runs = runs_of(read_checkpoint(trainer.checkpoint))
    assert runs[0]["data"] == ["dyads"]
    assert people_seen(runs) == (True, "")
    again = Trainer(config(**given, steps=3, vae_steps=1), tmp_path / "run")
    again.resume()
    list(again.run())
    assert runs_of(read_checkpoint(again.checkpoint))[0]["data"] == ["dyads"]


def test_a_run_that_met_nobody_did_not_see_people(tmp_path: Path) -> None:
    settings = {"dyads": str(tmp_path), "bank": "voices", "expression_names": "names", "data": ("react:r", "mars:m")}
    state = {"config": config(**settings).as_dict(), "step": 1, "people": []}
    assert runs_of(state)[0]["data"] == ["voices"]
    assert people_seen(runs_of(state)) == (False, "")
    assert runs_of({**state, "people": ["mars"]})[0]["data"] == ["voices", "expression_names", "mars"]
    of_earlier_versions = {name: value for name, value in state.items() if name != "people"}
    assert runs_of(of_earlier_versions)[0]["data"] == ["voices", "dyads", "expression_names", "react", "mars"]


def lost(recording: Recording, every: int) -> Recording:
    """The listener's face is lost for a third of every so many frames, as it is in what perception writes."""
    seen = np.arange(recording.frames) % every >= every // 3
    return replace(recording, listener=recording.listener * seen[:, None], observed=recording.observed & seen[:, None])


def test_a_lost_face_is_no_part_of_a_style(tmp_path: Path) -> None:
    """As zeros, gaps in a smile are many fast smiles."""
    people = read_dyads(write_dyads(tmp_path / "dyads", rows=900))
    completion = Completion(np.zeros((10, 58), np.float32))
    whole, gappy = (real_pool(found, completion, 0) for found in (people, [lost(r, 30) for r in people]))
    smiles = whole.style_given[:, :4] * gappy.style_given[:, :4] > 0
    assert smiles.float().mean() > 0.7
    assert (whole.style - gappy.style)[:, :4][smiles].abs().mean() < 0.25
    seldom = [replace(r, observed=r.observed & (np.arange(r.frames) % 5 < 2)[:, None]) for r in people]
    assert not real_pool(seldom, completion, 0).style_given[:, :4].any(), "of two frames in five nothing is told"
