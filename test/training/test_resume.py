"""A run that was stopped or killed goes on to the same bits; a full disk or a wrong file costs one sentence."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from small_run import SHAPE, config, write_dyads

torch = pytest.importorskip("torch", reason="torch is not installed (requirements/train.txt)")
pytest.importorskip("accelerate", reason="accelerate is not installed (requirements/train.txt)")

from accelerate.state import AcceleratorState  # noqa: E402

from reactdiff_ros.errors import ReactdiffError  # noqa: E402
from reactdiff_ros.training import checkpoints  # noqa: E402
from reactdiff_ros.training.checkpoints import read_checkpoint, write_checkpoint  # noqa: E402
from reactdiff_ros.training.shape import Shape  # noqa: E402
from reactdiff_ros.training.starting import read_start  # noqa: E402
from reactdiff_ros.training.train import Trainer  # noqa: E402


def same(a: Trainer, b: Trainer) -> bool:
    pairs = [(a.model, b.model), (a.average, b.average)]
    return all(
        torch.equal(x, y)
        for one, other in pairs
        for x, y in zip(one.state_dict().values(), other.state_dict().values(), strict=True)
    )


@pytest.fixture(scope="module")
def settings(tmp_path_factory):
    return config(dyads=str(write_dyads(tmp_path_factory.mktemp("dyads"))))


@pytest.fixture(scope="module")
def whole(settings, tmp_path_factory):
    trainer = Trainer(settings, tmp_path_factory.mktemp("whole"))
    list(trainer.run())
    return trainer


@pytest.mark.parametrize("phase", ["autoencoder", "reaction"])
def test_a_stopped_run_goes_on_to_the_same_bits(settings, whole, tmp_path, phase: str) -> None:
    first = Trainer(settings, tmp_path)
    stops = {"autoencoder": lambda: first.vae_step >= 2, "reaction": lambda: first.step >= 6}
    list(first.run(stops[phase]))
    assert (first.vae_step, first.step) == ((2, 0) if phase == "autoencoder" else (4, 6))
    again = Trainer(settings, tmp_path)
    again.resume()
    list(again.run())
    assert again.step == 8
    assert same(again, whole)


def test_a_killed_run_goes_on_from_its_last_checkpoint(settings, whole, tmp_path) -> None:
    class Killed(BaseException):
        pass

    def kill() -> bool:
        if first.step >= 5:
            raise Killed
        return False

    first = Trainer(settings, tmp_path)
    with pytest.raises(Killed):
        list(first.run(kill))
    again = Trainer(settings, tmp_path)
    again.resume()
    assert again.step == 3
    list(again.run())
    assert same(again, whole)


def test_the_checkpoint_tells_all_settings_and_the_simulator(settings, whole) -> None:
    state = read_checkpoint(whole.checkpoint)
    assert state["config"] == settings.as_dict()
    assert len(state["simulator"]) == 16
    assert set(state["facts"]["autoencoder"]["active_units"]) == set(state["facts"]["autoencoder"]["explained"])


class FullDisk:
    """A disk on which nothing can be flushed any more."""

    def __init__(self, monkeypatch) -> None:
        self.full = True

        def sync(descriptor: int) -> None:
            if self.full:
                raise OSError(28, os.strerror(28))

        monkeypatch.setattr(checkpoints.os, "fsync", sync)


def test_a_full_disk_keeps_the_last_checkpoint_and_says_one_sentence(tmp_path, monkeypatch) -> None:
    path = tmp_path / "checkpoint.pt"
    write_checkpoint(path, {"step": 1})
    before = path.read_bytes()
    FullDisk(monkeypatch)
    with pytest.raises(ReactdiffError, match="the last one stays; No space left on device") as caught:
        write_checkpoint(path, {"step": 2})
    assert "\n" not in str(caught.value)
    assert path.read_bytes() == before
    assert list(tmp_path.iterdir()) == [path]


def test_training_goes_on_while_the_disk_is_full_and_saves_when_it_is_not(tmp_path, monkeypatch) -> None:
    disk = FullDisk(monkeypatch)
    trainer = Trainer(config(steps=25, pool_steps=25), tmp_path)
    notes = []
    for progress in trainer.run():
        notes.append(progress.note)
        disk.full = trainer.step < 25
    assert any("cannot be written" in note and "training goes on" in note for note in notes)
    assert read_checkpoint(trainer.checkpoint)["step"] == 25


def test_a_disk_that_stays_full_ends_with_a_sentence(tmp_path, monkeypatch) -> None:
    FullDisk(monkeypatch)
    trainer = Trainer(config(steps=1), tmp_path)
    with pytest.raises(ReactdiffError, match="cannot be written"):
        list(trainer.run())


@pytest.mark.parametrize(
    ("content", "sentence"),
    [
        (None, "there is no checkpoint"),
        (b"broken", "cannot be read"),
        ({"a": 1}, "no checkpoint of reactdiff dev train"),
        ([1, 2], "no checkpoint of reactdiff dev train"),
    ],
)
def test_a_wrong_checkpoint_is_one_sentence(tmp_path, content, sentence: str) -> None:
    path = tmp_path / "checkpoint.pt"
    if isinstance(content, bytes):
        path.write_bytes(content)
    elif content is not None:
        torch.save(content, path)
    with pytest.raises(ReactdiffError, match=sentence) as caught:
        read_checkpoint(path)
    assert str(path) in str(caught.value)
    assert "\n" not in str(caught.value)


def test_networks_of_another_shape_are_refused(whole, tmp_path) -> None:
    other = Shape(**{**SHAPE.as_dict(), "width": 64})
    trainer = Trainer(config(shape=other, start_from=str(whole.checkpoint)), tmp_path)
    with pytest.raises(ReactdiffError, match="another shape") as caught:
        trainer.begin_with(read_start(whole.checkpoint))
    assert str(whole.checkpoint) in str(caught.value)
    (tmp_path / "checkpoint.pt").write_bytes(whole.checkpoint.read_bytes())
    with pytest.raises(ReactdiffError, match="another shape"):
        trainer.resume()


@pytest.fixture
def fresh_precision():
    """Accelerate takes one precision in a process, torch keeps the last one."""
    AcceleratorState._reset_state(reset_partial_state=True)
    yield
    AcceleratorState._reset_state(reset_partial_state=True)
    torch.set_float32_matmul_precision("highest")


@pytest.mark.parametrize("precision", ["bf16", "tf32"])
def test_a_run_in_less_precision_stays_finite_and_goes_on(whole, tmp_path, fresh_precision, precision: str) -> None:
    settings = config(precision=precision, steps=4, real_share=0.0)
    runs = []
    for folder, stops in (("whole", [99]), ("parts", [2, 99])):
        for stop in stops:
            trainer = Trainer(settings, tmp_path / folder)
            if stop != stops[0]:
                trainer.resume()
                assert trainer.step == 2
            list(trainer.run(lambda t=trainer, stop=stop: t.step >= stop))
        runs.append(trainer)
    assert [t.step for t in runs] == [4, 4]
    assert [t.skipped for t in runs] == [0, 0]
    assert all(torch.isfinite(p).all() for t in runs for p in (*t.model.parameters(), *t.average.parameters()))
    assert same(*runs)
    assert runs[0].accelerator.mixed_precision == ("bf16" if precision == "bf16" else "no")
    assert torch.get_float32_matmul_precision() == ("high" if precision == "tf32" else "highest")


def launched(folder: Path) -> subprocess.Popen[bytes]:
    """`reactdiff dev train --resume` as a process of its own."""
    path = os.pathsep.join([str(Path(__file__).resolve().parents[2]), os.environ.get("PYTHONPATH", "")])
    command = [sys.executable, "-m", "reactdiff_ros.cli.main", "dev", "train", "--output", str(folder), "--resume"]
    environment = os.environ | {"OMP_NUM_THREADS": "1", "PYTHONPATH": path}
    return subprocess.Popen(command, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)


def saved_again(checkpoint: Path, process: subprocess.Popen[bytes], times: int) -> None:
    """Return once the process has written its checkpoint so often, or has ended."""
    last, seen = checkpoint.stat().st_mtime_ns, 0
    while seen < times and process.poll() is None:
        time.sleep(0.005)
        now = checkpoint.stat().st_mtime_ns
        seen, last = seen + (now != last), now


@pytest.mark.slow
def test_a_process_that_is_killed_goes_on_to_the_same_bits(tmp_path) -> None:
    settings = config(steps=24, pool_steps=8)
    whole = Trainer(settings, tmp_path / "whole")
    list(whole.run())
    first = Trainer(settings, tmp_path / "killed")
    list(first.run(lambda: first.vae_step >= 2))
    process = launched(tmp_path / "killed")
    saved_again(first.checkpoint, process, 3)
    process.kill()
    assert process.wait() == -signal.SIGKILL
    assert 0 < read_checkpoint(first.checkpoint)["step"] < settings.steps
    assert launched(tmp_path / "killed").wait(300) == 0
    one, other = read_checkpoint(whole.checkpoint), read_checkpoint(first.checkpoint)
    assert one["step"] == other["step"] == settings.steps
    for name in ("model", "average", "played"):
        pairs = zip(one[name].values(), other[name].values(), strict=True)
        assert all(torch.equal(a, b) for a, b in pairs), name


@pytest.mark.slow
def test_two_processes_train_the_same_networks(tmp_path) -> None:
    """As `accelerate launch` would start them, on the CPU: different data, one model."""
    here = Path(__file__).resolve().parent
    path = os.pathsep.join([str(here.parents[1]), str(here), os.environ.get("PYTHONPATH", "")])
    environment = os.environ | {"ACCELERATE_USE_CPU": "true", "OMP_NUM_THREADS": "1", "PYTHONPATH": path}
    command = [sys.executable, "-m", "torch.distributed.run", "--nproc_per_node", "2", "--standalone"]
    done = subprocess.run(
        [*command, str(here / "two_processes.py"), str(tmp_path)], env=environment, capture_output=True, text=True,
        timeout=150, check=False,
    )  # fmt: skip
    lines = sorted(line for line in done.stdout.splitlines() if " of 2: " in line)
    assert len(lines) == 2, done.stderr[-2000:]
    assert lines[0].split(": ")[1] == lines[1].split(": ")[1]
    assert read_checkpoint(tmp_path / "checkpoint.pt")["step"] == 3
