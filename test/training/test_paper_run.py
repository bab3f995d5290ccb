"""The paper preset from data to arrays, on a generated set in REACT's layout, with tiny widths."""

from __future__ import annotations

# ruff: noqa: E402
import json
import os
import tracemalloc
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from generated_sets import REACT_CLIPS, react, react_features

torch = pytest.importorskip("torch")

from reactdiff_ros.errors import ReactdiffError
from reactdiff_ros.recordings.datasets.files import DatasetError
from reactdiff_ros.training.paper.config import PaperConfig
from reactdiff_ros.training.paper.data import ReactClips, batches
from reactdiff_ros.training.paper.sample import sample
from reactdiff_ros.training.paper.train import LOG, MODEL, Trainer, load_model, read, write

torch.set_num_threads(1)
FRAMES = 60
WIDTHS = {"va": 4, "au": 12, "expression": 8, "mfcc": 5, "speech": 6}
TINY = PaperConfig(
    **WIDTHS, hidden=16, heads=2, latent=16, window=10, model_channels=16, channel_factors=(1, 2), attention_at=(1,),
    residual_blocks=1, condition=64, sample_steps=3, hop=5, overlap=3, clip_frames=40, batch=4, epochs=2,
    validate_every=1, autoencoder_rate=3e-3, diffusion_rate=2e-3, average=0.99,
)  # fmt: skip


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A data set without a test split: nothing of training may ask for one."""
    root = tmp_path_factory.mktemp("react")
    react(root, frames=FRAMES, splits=("train", "val"), sound=False)
    return react_features(root, WIDTHS, splits=("train", "val"), frames=FRAMES)


def trained(data: Path, folder: Path, **changes: Any) -> Trainer:
    trainer = Trainer(replace(TINY, **changes), data, folder, "cpu")
    for _ in trainer.run():
        pass
    return trainer


@pytest.mark.parametrize("protocol", ["offline", "online"])
def test_training_and_ten_samples_a_clip_from_end_to_end(protocol: str, data: Path, tmp_path: Path) -> None:
    trainer = trained(data, tmp_path / "run", protocol=protocol, epochs=3)
    assert not (data / "test").exists()
    lines = [json.loads(line) for line in (tmp_path / "run" / LOG).read_text().splitlines()]
    assert [line["step"] for line in lines if line["step"]] == list(range(1, trainer.steps + 1))
    # The same windows and noise at every look: what is learnt shows in three epochs.
    for part, share in (("autoencoder", 0.8), ("diffusion", 0.99)):
        looks = [line["validation"] for line in lines if line["part"] == part and "validation" in line]
        assert len(looks) == 3
        assert looks[2] < looks[1] < looks[0], part
        assert looks[2] < share * looks[0], part
    best = min(line["validation"] for line in lines if line["part"] == "diffusion" and "validation" in line)
    assert read(tmp_path / "run" / MODEL)["validation"] == best

    model = load_model(tmp_path / "run" / MODEL, "cpu")
    out = tmp_path / "arrays"
    done = list(sample(model, data, "val", out, seed=4))
    assert [d.number for d in done] == list(range(1, 9))
    attributes, coefficients = np.load(out / "attributes.npy"), np.load(out / "coefficients.npy")
    assert attributes.shape == (2 * len(REACT_CLIPS), 10, 750, 25)
    assert coefficients.shape == (2 * len(REACT_CLIPS), 10, 750, 58)
    assert np.isfinite(attributes).all()
    assert attributes[0, :, :FRAMES].std(0).max() > 1e-4  # ten reactions, not one
    np.testing.assert_array_equal(attributes[:, :, FRAMES:], np.repeat(attributes[:, :, FRAMES - 1 : FRAMES], 690, 2))
    assert (out / "clips.txt").read_text().split() == [s for s, _ in REACT_CLIPS] + [x for _, x in REACT_CLIPS]
    assert not list(out.glob("*.part"))


def test_the_published_schedule_is_what_the_trainer_follows(data: Path, tmp_path: Path) -> None:
    published = PaperConfig()
    schedule = {name: getattr(published, name) for name in ("autoencoder_rate", "diffusion_rate", "average")}
    assert Trainer(replace(TINY, epochs=200, batch=3), data, tmp_path / "r", "cpu").steps == 2 * 200 * 3  # 8 clips
    trainer = Trainer(replace(TINY, **schedule, epochs=1), data, tmp_path / "run", "cpu")
    rates = {}
    for progress in trainer.run():
        optimiser = trainer._optimiser
        assert type(optimiser) is torch.optim.AdamW
        rates[progress.part] = optimiser.param_groups[0]["lr"]
    assert rates == {"autoencoder": 1e-4, "diffusion": 5e-5}


def test_the_average_of_the_weights_decays_as_published(data: Path, tmp_path: Path) -> None:
    trainer = Trainer(replace(TINY, average=PaperConfig().average), data, tmp_path / "run", "cpu")
    name, weights = next(iter(trainer._parameters().items()))
    for epoch, kept in ((0, 0.1), (10**6, 0.999)):  # faster at first, or it would remember the random start
        trainer.epoch = epoch
        before = trainer._average[name].clone()
        with torch.no_grad():
            weights += 1.0
        trainer._follow()
        torch.testing.assert_close(trainer._average[name], kept * before + (1 - kept) * weights.detach())


def test_a_run_that_was_stopped_goes_on_as_if_it_had_not_been(data: Path, tmp_path: Path) -> None:
    whole = trained(data, tmp_path / "whole")
    for stop_after in (3, 5, 6):
        count = iter(range(stop_after))
        config = replace(TINY)
        trainer = Trainer(config, data, tmp_path / "cut", "cpu")
        if stop_after != 3:
            trainer.resume()
        for _ in trainer.run(lambda count=count: next(count, None) is None):  # type: ignore[misc]
            pass
    resumed = Trainer(TINY, data, tmp_path / "cut", "cpu")
    resumed.resume()
    for _ in resumed.run():
        pass
    for name, value in whole.model.state_dict().items():
        assert torch.equal(value, resumed.model.state_dict()[name]), name
    with pytest.raises(ReactdiffError, match="other settings"):
        Trainer(replace(TINY, hop=3), data, tmp_path / "cut", "cpu").resume()


def test_bad_features_are_named(data: Path, tmp_path: Path) -> None:
    root = react(tmp_path, frames=FRAMES, splits=("train", "val"), sound=False)
    with pytest.raises(DatasetError, match="no folder with the features of the train split"):
        ReactClips(root, "train", TINY)
    react_features(root, WIDTHS, splits=("train",), frames=FRAMES)
    with pytest.raises(DatasetError, match=r"feature au has shape \(60, 12\) instead of \(frames, 13\)"):
        ReactClips(root, "train", replace(TINY, au=13))[0]
    clip = root / "features" / "train" / "Video_features" / f"{REACT_CLIPS[0][0]}.pth"
    torch.save([torch.zeros(FRAMES, 4), torch.full((FRAMES, 12), float("nan")), torch.zeros(FRAMES, 8)], clip)
    with pytest.raises(DatasetError, match="feature au holds 720 values that are not finite"):
        ReactClips(root, "train", TINY)[0]
    torch.save([torch.zeros(FRAMES, 4)], clip)
    with pytest.raises(DatasetError, match="1 features instead of va, au, expression"):
        ReactClips(root, "train", TINY)[0]
    clip.write_bytes(b"no tensors")
    with pytest.raises(DatasetError, match="cannot be read"):
        ReactClips(root, "train", TINY)[0]
    clip.unlink()
    with pytest.raises(DatasetError, match="a file is missing: the features"):
        ReactClips(root, "train", TINY)[0]
    with pytest.raises(DatasetError, match="fewer than a window of 61"):
        next(batches(ReactClips(data, "train", TINY), replace(TINY, window=61, clip_frames=61), [1, 2]))


def test_a_disk_that_fills_or_a_kill_while_it_is_written_keeps_the_checkpoint_that_was_there(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "checkpoint.pt"
    write(path, {"config": {}, "model": {}, "step": 1})
    before = path.read_bytes()

    def full(descriptor: int) -> None:
        raise OSError(28, os.strerror(28))

    def ended(state: Any, file: Any) -> None:
        file.write(b"half of it")
        raise KeyboardInterrupt

    def unfinished(state: Any, file: Any) -> None:
        raise RuntimeError("[enforce fail at inline_container.cc:820] . PytorchStreamWriter failed\nframe #0: c10")

    for part, name, fault, expected in (
        (os, "fsync", full, ReactdiffError), (torch, "save", ended, KeyboardInterrupt),
        (torch, "save", unfinished, ReactdiffError),
    ):  # fmt: skip
        with monkeypatch.context() as patched:
            patched.setattr(part, name, fault)
            with pytest.raises(expected) as caught:
                write(path, {"config": {}, "model": {}, "step": 2})
        assert "\n" not in str(caught.value)
        assert path.read_bytes() == before
        assert list(tmp_path.iterdir()) == [path]
    write(path, {"config": {}, "model": {}, "step": 2})
    assert read(path)["step"] == 2


def test_a_checkpoint_is_not_held_twice_in_memory(tmp_path: Path) -> None:
    state = {"config": {}, "model": {"weight": torch.zeros(1 << 21)}}  # 8 MB
    write(tmp_path / "first.pt", state)
    tracemalloc.start()
    try:
        write(tmp_path / "model.pt", state)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert (tmp_path / "model.pt").stat().st_size > 1 << 23
    assert peak < 1 << 20


def test_a_disk_that_is_full_and_models_that_are_none_are_sentences(data: Path, tmp_path: Path) -> None:
    folder = tmp_path / "run"
    (folder / "model.pt.part").mkdir(parents=True)
    with pytest.raises(ReactdiffError, match=r"checkpoint cannot be written.*model\.pt"):
        trained(data, folder)
    for content, words in ((b"", "cannot be read"), (None, "no such model")):
        path = tmp_path / f"{words}.pt"
        if content is not None:
            path.write_bytes(content)
        with pytest.raises(ReactdiffError, match=words):
            load_model(path, "cpu")
    torch.save({"a": 1}, tmp_path / "other.pt")
    with pytest.raises(ReactdiffError, match="no model of the paper preset"):
        load_model(tmp_path / "other.pt", "cpu")


def test_the_best_weights_of_another_model_are_a_sentence(data: Path, tmp_path: Path) -> None:
    trainer = Trainer(TINY, data, tmp_path, "cpu")
    write(tmp_path / MODEL, {"config": TINY.as_dict(), "model": {}})
    trainer.epoch = TINY.epochs
    with pytest.raises(ReactdiffError, match=r"the weights do not fit the model's settings .*model\.pt"):
        list(trainer.run())
