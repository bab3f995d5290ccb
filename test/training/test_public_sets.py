"""Runs on public sets in their own layouts: their train split alone, both people, what they do not show masked."""

import json
from pathlib import Path

import numpy as np
import pytest
from generated_sets import FACEVERSE_ORDER, REACT_CLIPS, dualtalk, mars, react
from small_run import config

torch = pytest.importorskip("torch", reason="torch is not installed (requirements/train.txt)")
pytest.importorskip("accelerate", reason="accelerate is not installed (requirements/train.txt)")

from reactdiff_ros.coefficients import INDEX, ROTATION  # noqa: E402
from reactdiff_ros.errors import ReactdiffError  # noqa: E402
from reactdiff_ros.model.plan.latents import GROUPS  # noqa: E402
from reactdiff_ros.model.tokens import STREAMS  # noqa: E402
from reactdiff_ros.training.checkpoints import read_checkpoint  # noqa: E402
from reactdiff_ros.training.config import config_from  # noqa: E402
from reactdiff_ros.training.data import MARGIN  # noqa: E402
from reactdiff_ros.training.history import people_seen, runs_of  # noqa: E402
from reactdiff_ros.training.public_sets import data_of  # noqa: E402
from reactdiff_ros.training.recorded import told_of, training_recordings  # noqa: E402
from reactdiff_ros.training.train import Trainer  # noqa: E402

VOICE = next(i for i, (name, _, _) in enumerate(STREAMS) if name == "mfcc")
SMILE, HEAD = (next(g for g in GROUPS if g.name == name) for name in ("smile", "head"))


@pytest.fixture(scope="module")
def roots(tmp_path_factory) -> dict[str, Path]:
    folder = tmp_path_factory.mktemp("sets")
    return {
        "react": react(folder / "react", frames=150, splits=("train", "val")),
        "mars": mars(folder / "mars"),
        "dualtalk": dualtalk(folder / "dualtalk"),
    }


@pytest.fixture(scope="module")
def names(tmp_path_factory) -> str:
    path = tmp_path_factory.mktemp("faceverse") / "names.txt"
    path.write_text("\n".join(FACEVERSE_ORDER))
    return str(path)


def settings(roots, names, kind: str, **changes):
    given = {"data": (f"{kind}:{roots[kind]}",), "expression_names": "" if kind == "dualtalk" else names}
    return config(**{**given, "steps": 3, "vae_steps": 3, "real_share": 0.6, **changes})


def heard(samples: np.ndarray, rate_hz: int, frames: int) -> dict[str, np.ndarray]:
    return {"microphone": np.ones(frames, dtype=bool)}


@pytest.mark.parametrize("kind", ["react", "mars", "dualtalk"])
def test_a_run_learns_from_each_kind(roots, names, kind: str, tmp_path) -> None:
    chosen = settings(roots, names, kind)
    trainer = Trainer(chosen, tmp_path, voice_of=heard)
    roles = {r.role for r in trainer.recordings}
    assert len(roles) > 1  # both people listen
    assert {r.names["split"] for r in trainer.recordings} == {"train"}
    list(trainer.run())
    real = trainer._recorded()
    assert trainer.step == 3
    assert trainer.skipped == 0
    assert all(torch.isfinite(p).all() for p in trainer.model.parameters())
    assert real.known[..., SMILE.latents].all()
    assert real.known[..., HEAD.latents].all()
    assert real.observed[..., VOICE].any()
    assert real.labelled.any() == (kind != "dualtalk")
    assert trainer.facts["autoencoder"]["labelled_frames"] == int(real.labelled.sum())
    state = read_checkpoint(trainer.checkpoint)
    assert config_from(state["config"]) == chosen
    runs = runs_of(state)
    assert set(runs[0]["data"]) == {kind} | ({"expression_names"} if chosen.expression_names else set())
    assert str(roots[kind]) not in json.dumps(runs)
    assert people_seen(runs) == (True, "")


def test_sets_are_trained_on_together_and_resume_to_the_same_bits(roots, names, tmp_path) -> None:
    chosen = settings(roots, names, "react", data=tuple(f"{kind}:{root}" for kind, root in roots.items()), steps=5)
    whole = Trainer(chosen, tmp_path / "whole")
    sentence = told_of(whole.recordings)
    assert all(f"{n} of {kind}" in sentence for kind, n in (("react", 8), ("mars", 6), ("dualtalk", 4)))
    assert whole.recordings[0].frames == 76
    list(whole.run())
    first = Trainer(chosen, tmp_path / "part")
    list(first.run(lambda: first.step >= 3))
    again = Trainer(chosen, tmp_path / "part")
    again.resume()
    list(again.run())
    pairs = zip(again.average.state_dict().values(), whole.average.state_dict().values(), strict=True)
    assert all(torch.equal(a, b) for a, b in pairs)


def test_other_splits_are_never_opened(tmp_path) -> None:
    root = react(tmp_path, frames=100, splits=("train", "val", "test"))
    for split in ("val", "test"):
        (root / f"{split}.csv").write_text("broken")
        for path in (root / split).rglob("*.*"):
            path.write_bytes(b"broken")
    assert len(training_recordings(config(data=(f"react:{root}",)))) == 2 * len(REACT_CLIPS)


def test_without_names_the_head_is_seen_and_no_label_is_learnt(roots, tmp_path) -> None:
    trainer = Trainer(config(data=(f"react:{roots['react']}",)), tmp_path)
    assert trainer.recordings[0].attributes is not None
    real = trainer._recorded()
    assert not real.labelled.any()
    assert not real.seen[..., INDEX["mouthSmileLeft"]].any()
    assert real.seen[:, MARGIN:, ROTATION].all()
    assert not real.observed[..., VOICE].any()  # nobody made a voice of the sound


def test_a_style_is_given_only_where_it_is_known_who_is_who(roots, names, tmp_path) -> None:
    """NoXI's first conversation has two clips of the same people; sessions of one day of MARS may be of anybody."""
    for kind, some in (("react", True), ("mars", False), ("dualtalk", False)):
        real = Trainer(settings(roots, names, kind, frames=30), tmp_path)._recorded()
        assert bool(real.style_given.any()) == some


def test_sound_is_not_read_where_it_is_not_wanted(roots, names) -> None:
    def never(samples: np.ndarray, rate_hz: int, frames: int) -> dict[str, np.ndarray]:
        raise AssertionError

    for changes in ({"sound": False}, {"ablate": ("voice",)}):
        assert training_recordings(settings(roots, names, "mars", **changes), never)
    with pytest.raises(AssertionError):
        training_recordings(settings(roots, names, "mars"), never)


@pytest.mark.parametrize(
    ("kind", "damage", "words"),
    [
        ("react", "train.csv", r"list of the train split.*train\.csv"),
        ("react", "train/3D_FV_files/RECOLA/group-1/P26/1.npy", r"the 3DMM coefficients.*P26/1\.npy"),
        ("mars", "train/facial-attributes/speaker/session10", r"of the listener have none of the speaker.*session10"),
        ("dualtalk", "metadata/train.jsonl", r"list of the train split.*train\.jsonl"),
    ],
)
def test_a_wrong_layout_says_which_file_and_field(kind: str, damage: str, words: str, tmp_path) -> None:
    root = {"react": lambda p: react(p, frames=100), "mars": mars, "dualtalk": dualtalk}[kind](tmp_path / kind)
    (root / damage).rename(tmp_path / "away")
    with pytest.raises(ReactdiffError, match=words) as caught:
        Trainer(config(data=(f"{kind}:{root}",)), tmp_path / "run")
    assert "\n" not in str(caught.value)
    with pytest.raises(ReactdiffError, match=r"no folder with|a file is missing"):
        training_recordings(config(data=(f"{kind}:{tmp_path / 'none'}",)))


@pytest.mark.parametrize("text", ["react", "react:", "noxi:data", ":data"])
def test_what_is_no_data_set_is_a_sentence(text: str) -> None:
    with pytest.raises(ReactdiffError, match="a data set is KIND:DIR"):
        config(data=(text,))


def test_names_without_a_set_of_faceverse_are_refused() -> None:
    assert data_of("dualtalk:a:b") == ("dualtalk", Path("a:b"))
    with pytest.raises(ReactdiffError, match="no data set has them"):
        config(data=("dualtalk:data",), expression_names="names.txt")
