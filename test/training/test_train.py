"""A run: it learns, keeps its budget, starts from another, and everything that it tells can be read."""

import json
import threading
from concurrent.futures.process import BrokenProcessPool

import numpy as np
import pytest
from small_run import CONFIG, SHAPE, config, write_dyads

torch = pytest.importorskip("torch", reason="torch is not installed (requirements/train.txt)")
pytest.importorskip("accelerate", reason="accelerate is not installed (requirements/train.txt)")

from reactdiff_ros.errors import ReactdiffError  # noqa: E402
from reactdiff_ros.model.conditions import CONTROL_COUNT, STYLE_COUNT  # noqa: E402
from reactdiff_ros.model.plan.latents import GROUPS  # noqa: E402
from reactdiff_ros.training.autoencoder import TARGET, AutoencoderStep, describe, labels_of, set_scale  # noqa: E402
from reactdiff_ros.training.config import TrainConfig, config_from, fold_of  # noqa: E402
from reactdiff_ros.training.data import MARGIN, cut, simulated_pool  # noqa: E402
from reactdiff_ros.training.layers import MASKED  # noqa: E402
from reactdiff_ros.training.logs import Logs, Progress, clock_face  # noqa: E402
from reactdiff_ros.training.nets import Model  # noqa: E402
from reactdiff_ros.training.objective import (  # noqa: E402
    Objective,
    Told,
    conditions,
    context_mask,
    disturb,
    draw,
    draw_plans,
    forgotten,
    noise_angles,
    schedule,
)
from reactdiff_ros.training.pools import Pools  # noqa: E402
from reactdiff_ros.training.starting import read_start  # noqa: E402
from reactdiff_ros.training.train import Trainer  # noqa: E402

HEAD = next(g for g in GROUPS if g.name == "head")


@pytest.fixture(scope="module")
def pool():
    torch.manual_seed(0)
    return simulated_pool(7, CONFIG, None).to_latents(Model(SHAPE).vae)


def test_the_loss_falls_on_one_batch(pool) -> None:
    torch.manual_seed(0)
    objective = Objective(Model(SHAPE), CONFIG)
    rng = np.random.default_rng(0)
    s = cut(pool, rng, np.arange(4), 50, SHAPE)
    drawn = draw(s, draw_plans(s, CONFIG, rng), CONFIG, rng)
    optimizer = torch.optim.AdamW([p for n, p in objective.named_parameters() if ".vae." not in n], lr=3e-3)
    values = []
    for _ in range(30):
        loss, parts = objective(s, drawn)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        values.append({name: float(value.detach()) for name, value in parts.items()})
    assert values[-1]["velocity"] < 0.8 * values[0]["velocity"]
    assert values[-1]["auxiliary"] < values[0]["auxiliary"]
    assert values[-1]["stimulus"] < values[0]["stimulus"]
    assert set(values[0]) == {"velocity", "speed", "acceleration", "cooccurrence", "auxiliary", "stimulus"}


def test_what_was_not_measured_gives_no_gradient(pool) -> None:
    """Head latents unknown: the loss does not depend on the head's target at all."""
    torch.manual_seed(0)
    objective = Objective(Model(SHAPE), CONFIG)

    def loss_with(shift: float) -> list[float]:
        rng = np.random.default_rng(0)
        s = cut(pool, rng, np.arange(4), 50, SHAPE)
        s.known = s.known.clone()
        s.known[..., HEAD.latents] = False
        s.seen = s.seen.clone()
        s.seen[..., 52:] = False
        plans = draw_plans(s, CONFIG, rng)
        drawn = draw(s, plans, CONFIG, rng)
        predicted_only = drawn.noise[..., HEAD.latents].clone()
        with torch.no_grad():
            before = {k: float(v) for k, v in objective(s, drawn)[1].items()}
        drawn.noise[..., HEAD.latents] = predicted_only + shift
        s.listener = s.listener.clone()
        s.listener[..., 52:] += shift
        out = torch.nn.Parameter(objective.model.denoiser.out.weight.detach().clone())
        objective.model.denoiser.out.weight = out
        total, _ = objective(s, drawn)
        total.backward()
        rows = out.grad[HEAD.latents]
        return [float(rows.abs().max()), before["velocity"]]

    assert loss_with(0.0)[0] == 0.0
    assert loss_with(5.0)[0] == 0.0


def test_plans_gather_where_the_speaker_does_something(pool) -> None:
    rng = np.random.default_rng(0)
    s = cut(pool, rng, np.arange(6), 50, SHAPE)
    s.salience = torch.zeros(6, 50)
    s.salience[:, 30:40] = 1.0
    newest = torch.cat([draw_plans(s, config(plans=50, events=2.0), rng).newest for _ in range(4)])
    inside = ((newest >= 30) & (newest < 40)).float().mean()
    assert inside == pytest.approx(30 / (38 + 30), abs=0.05)
    bounded = draw_plans(s, config(plans=50), rng, np.tile([5, 9], (6, 1))).newest
    assert bounded.min() >= 5
    assert bounded.max() < 9


def test_plans_in_which_something_begins_may_count_more(pool) -> None:
    s = cut(pool, np.random.default_rng(0), np.arange(6), 50, SHAPE)
    s.activity = torch.zeros_like(s.activity)
    s.activity[:, MARGIN + 30 :] = 0.5  # begins at frame 30 and stays
    plans = draw_plans(s, config(plans=60, onsets=2.0), np.random.default_rng(1))
    horizon = plans.target.shape[1]
    begins = (plans.start <= 30) & (plans.start + horizon > 30)
    weights = plans.weight[:, 0, 0]
    assert begins.any()
    assert (weights[begins] == 2.0).all()
    assert (weights[~begins] == 1.0).all()
    assert (draw_plans(s, config(plans=60), np.random.default_rng(1)).weight == 1).all()


def test_history_is_dropped_and_shortened() -> None:
    missing = forgotten(4000, 8, np.random.default_rng(0))
    assert missing.all(1).float().mean() == pytest.approx(0.25, abs=0.04)
    assert (~missing).all(1).float().mean() == pytest.approx(0.75 * (0.5 + 0.5 / 8), abs=0.05)
    # The newest frames are the ones that stay.
    assert (missing.int().diff(dim=1) <= 0).all()


def test_an_offset_past_goes_on_without_a_jump_and_comes_back(pool) -> None:
    rng = np.random.default_rng(0)
    s = cut(pool, rng, np.arange(6), 50, SHAPE)
    plans = draw_plans(s, config(plans=200), rng)
    past, target = plans.past, plans.target
    disturb(plans, rng, torch.Generator().manual_seed(0))
    moved, after = plans.past - past, plans.target - target
    offset = moved.mean(1)
    grainy = (moved - offset[:, None]).abs().amax((1, 2)) > 1e-5
    shifted = after.abs().amax((1, 2)) > 1e-6
    assert shifted.float().mean() == pytest.approx(0.2, abs=0.05)
    assert grainy.float().mean() == pytest.approx(0.25, abs=0.05)
    clean = shifted & ~grainy
    torch.testing.assert_close(after[clean][:, 0], offset[clean] * np.exp(-1 / 6), atol=1e-5, rtol=1e-4)
    assert (after[clean][:, -1].abs() < after[clean][:, 0].abs() + 1e-7).all()
    assert torch.equal(plans.past[~shifted & ~grainy], past[~shifted & ~grainy])


def test_fine_noise_is_trained_too() -> None:
    angle = noise_angles((20000,), np.random.default_rng(0))
    assert angle.min() > 0
    assert angle.max() <= np.float32(np.pi / 2)
    fine = np.log(0.1 / 0.015) / np.log(0.5 / 0.015)
    assert (angle < 0.1).mean() == pytest.approx(0.9 * 0.04 + 0.1 * fine, abs=0.02)


def test_conditions_are_thinned_and_people_have_no_controls() -> None:
    rng = np.random.default_rng(0)
    n = 3000
    real = (torch.arange(n) % 2).float()
    told = Told(
        torch.ones(n, CONTROL_COUNT), torch.ones(n, STYLE_COUNT), torch.ones(n, STYLE_COUNT), real,
        torch.zeros(n, dtype=torch.long),
    )  # fmt: skip
    vector = conditions(told, 8, rng)
    given = vector[:, CONTROL_COUNT : 2 * CONTROL_COUNT]
    style = vector[:, 2 * CONTROL_COUNT + STYLE_COUNT : 2 * CONTROL_COUNT + 2 * STYLE_COUNT]
    assert given[real == 1].abs().max() == 0
    simulated = real == 0
    nothing = (given[simulated].sum(1) == 0) & (style[simulated].sum(1) == 0)
    everything = (given[simulated].sum(1) == CONTROL_COUNT) & (style[simulated].sum(1) == STYLE_COUNT)
    assert nothing.float().mean() == pytest.approx(0.2, abs=0.03)
    assert everything.float().mean() == pytest.approx(0.2, abs=0.03)
    single = (style[simulated].sum(1) > 0) & (style[simulated].sum(1) < STYLE_COUNT)
    assert single.float().mean() > 0.2


def test_unguided_stretches_see_no_speaker() -> None:
    mask = context_mask(torch.tensor([[True, False]]), torch.tensor([[False]]), torch.tensor([[False, True]]))
    assert mask[0, 0].tolist() == [0, MASKED, 0, 0]
    assert mask[0, 1].tolist() == [0, MASKED, MASKED, 0]


def test_the_learning_rate_rises_and_falls() -> None:
    values = [schedule(done, 0.1) for done in np.linspace(0, 1, 101)]
    assert values[0] < 0.01
    assert 0.95 < max(values) <= 1.0
    assert values[-1] == pytest.approx(0.03, abs=1e-6)
    assert (np.diff(values[11:]) <= 0).all()


def test_the_autoencoder_learns_every_group_and_turns_its_weights() -> None:
    torch.manual_seed(0)
    model = Model(SHAPE)
    listeners = simulated_pool(9, config(worlds=16, roll_worlds=0), None)
    set_scale(model.vae, listeners.listener)
    step = AutoencoderStep(model.vae)
    x = listeners.listener[:, 24:88]
    seen, labelled = torch.ones_like(x, dtype=torch.bool), torch.ones(x.shape[:2], dtype=torch.bool)
    labels = labels_of(x)
    weights = step.kl_weight.clone()
    first = step(x, seen, labels, labelled, 0.0, 0)
    for i in range(60):
        last = step(x, seen, labels, labelled, 0.0, i)
    assert last["attributes"] < first["attributes"]
    assert (step.kl_weight < weights).all()  # far from TARGET: less KL
    assert TARGET < 0.1
    facts = describe(model.vae, listeners.listener)
    assert all(value > 0 for value in facts["explained"].values())
    assert facts["active_units"].keys() == facts["units"].keys() == {g.name for g in GROUPS}
    assert 0 < facts["attribute_error"] < 0.5


def test_a_collapsed_group_is_told() -> None:
    """What `describe` says of networks that ignore a group: no active unit, nothing explained."""
    torch.manual_seed(0)
    model = Model(SHAPE)
    listener = simulated_pool(9, config(worlds=8, roll_worlds=0), None).listener
    set_scale(model.vae, listener)
    whole = model.vae.posterior

    def closed(x: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        mean, log_var = whole(x)
        mean[..., HEAD.latents] = 0.0
        return mean, log_var

    model.vae.posterior = closed
    facts = describe(model.vae, listener)
    assert facts["active_units"]["head"] == 0
    assert facts["units"]["head"] == HEAD.width
    assert facts["explained"]["head"] < 0.05


def test_channels_that_never_move_keep_a_size_and_a_finite_loss() -> None:
    torch.manual_seed(0)
    model = Model(SHAPE)
    still = torch.full((4, 40, 58), 0.2)
    set_scale(model.vae, still)
    assert model.vae.scale.min() > 0
    step = AutoencoderStep(model.vae)
    seen = torch.ones_like(still, dtype=torch.bool)
    for i in range(3):
        losses = step(still, seen, labels_of(still), torch.ones(4, 40, dtype=torch.bool), 0.0, i)
    assert all(np.isfinite(value) for value in losses.values())
    assert all(torch.isfinite(p).all() for p in model.parameters())


def test_a_group_that_was_not_seen_is_not_learnt_from() -> None:
    torch.manual_seed(0)
    model = Model(SHAPE)
    step = AutoencoderStep(model.vae)
    x = torch.rand(4, 64, 58)
    seen = torch.zeros_like(x, dtype=torch.bool)
    seen[..., list(GROUPS[0].coefficients)] = True
    step.kl_weight[:] = 0.0
    before = model.vae.decode_net.last.weight.clone()
    step(x, seen, labels_of(x), torch.zeros(4, 64, dtype=torch.bool), 0.0, 0)
    grad = model.vae.decode_net.last.weight.grad
    assert grad[list(GROUPS[0].coefficients)].abs().max() > 0
    others = [i for g in GROUPS[1:] for i in g.coefficients]
    assert grad[others].abs().max() == 0
    assert not torch.equal(before, model.vae.decode_net.last.weight)


def test_a_budget_ends_the_run_on_time(tmp_path) -> None:
    now = [0.0]

    def clock() -> float:
        now[0] += 3.0
        return now[0]

    trainer = Trainer(config(steps=10**6, vae_steps=10**6, minutes=1.0), tmp_path, clock)
    reports = list(trainer.run())
    assert 0 < trainer.step < 60
    assert trainer.spent() < 90
    assert trainer.vae_step == 10**6  # counted as done
    assert all(report.left_s >= 0 or report.left_s != report.left_s for report in reports)


def test_fine_tuning_starts_with_the_averaged_networks_and_keeps_the_autoencoder(tmp_path) -> None:
    base = Trainer(config(steps=4), tmp_path / "base")
    list(base.run())
    folder = write_dyads(tmp_path / "dyads")
    start = {"start_from": str(base.checkpoint)}
    tuned = Trainer(config(steps=3, **start, dyads=str(folder), fold="1/3"), tmp_path / "tuned")
    tuned.begin_with(read_start(base.checkpoint))
    assert torch.equal(tuned.model.denoiser.out.weight, base.average.denoiser.out.weight)
    list(tuned.run())
    assert torch.equal(tuned.model.vae.center, base.average.vae.center)
    assert not torch.equal(tuned.average.denoiser.out.weight, base.average.denoiser.out.weight)
    assert tuned.facts == base.facts


def test_losses_that_are_not_finite_change_nothing(tmp_path, monkeypatch) -> None:
    trainer = Trainer(config(vae_steps=1, roll_worlds=0), tmp_path)
    list(trainer.run(lambda: trainer.step >= 1))
    before = {k: v.clone() for k, v in trainer.model.state_dict().items()}
    monkeypatch.setattr(trainer.config.losses.__class__, "velocity", float("nan"), raising=False)
    trainer.model.denoiser.out.bias.data[0] = float("nan")
    pool = simulated_pool(7, CONFIG, None).to_latents(trainer.model.vae)
    assert trainer._update(*trainer._gradients(*trainer._batch(pool, 0), 0.5)) == {}
    assert trainer.skipped == 1
    after = trainer.model.state_dict()
    assert all(torch.equal(after[k], v) for k, v in before.items() if k != "denoiser.out.bias")


def test_the_next_pool_of_a_second_process_is_the_same() -> None:
    ahead, now = Pools(config(workers=1, worlds=4)), Pools(config(worlds=4))
    try:
        assert torch.equal(ahead.get(0).features, now.get(0).features)
        assert torch.equal(ahead.get(1).listener, now.get(1).listener)
    finally:
        ahead.close()


def test_a_second_process_that_dies_is_done_without() -> None:
    class Dead:
        def result(self) -> None:
            raise BrokenProcessPool("killed")

    pools = Pools(config(worlds=4))
    pools._ahead = {0: Dead()}
    assert torch.equal(pools.get(0).features, Pools(config(worlds=4)).get(0).features)


def test_settings_survive_a_checkpoint_and_wrong_ones_are_refused() -> None:
    c = config(ablate=("voice",), fold="2/4")
    assert config_from(json.loads(json.dumps(c.as_dict()))) == c
    assert config_from({**c.as_dict(), "of_another_version": 1}) == c
    assert fold_of("4/4") == (3, 4)
    for wrong in ("5/4", "0/4", "1", "a/b", "1/1"):
        with pytest.raises(ReactdiffError, match="a fold is i/n"):
            TrainConfig(fold=wrong)
    with pytest.raises(ReactdiffError, match="cannot be ablated"):
        TrainConfig(ablate=("hair",))


def test_logs_are_lines_of_json_and_a_full_disk_is_told_once(tmp_path, monkeypatch) -> None:
    with Logs(tmp_path, tensorboard=False) as logs:
        logs.write(Progress("reaction", 25, 100, {"velocity": 0.5}))
        assert json.loads((tmp_path / "log.jsonl").read_text()) == {
            "phase": "reaction", "step": 25, "steps": 100, "velocity": 0.5
        }  # fmt: skip

        def full(text: str) -> int:
            raise OSError(28, "No space left on device")

        class Full:
            write = staticmethod(full)

            def flush(self) -> None: ...

            def close(self) -> None: ...

        logs._file.close()
        logs._file = Full()
        logs.write(Progress("reaction", 50, 100))
        logs.write(Progress("reaction", 75, 100))
        assert "No space left" in logs.problem
    with pytest.raises(ReactdiffError, match="the run's folder cannot be written"):
        Logs(tmp_path / "log.jsonl")


def test_tensorboard_gets_the_same_figures(tmp_path) -> None:
    pytest.importorskip("tensorboard", reason="tensorboard is not installed (requirements/train.txt)")
    with Logs(tmp_path) as logs:
        logs.write(Progress("reaction", 25, 100, {"velocity": 0.5}))
    files = list((tmp_path / "tensorboard").iterdir())
    assert len(files) == 1
    assert b"reaction/velocity" in files[0].read_bytes()


def test_a_disk_that_is_full_for_tensorboard_is_a_sentence_and_other_threads_errors_stay(tmp_path, monkeypatch) -> None:
    pytest.importorskip("tensorboard", reason="tensorboard is not installed (requirements/train.txt)")
    from tensorboard.summary.writer.record_writer import RecordWriter

    def full(writer: RecordWriter, data: bytes) -> None:
        raise OSError(28, "No space left on device")

    def fail() -> None:
        raise OSError(5, "Input/output error")

    def somebody_s() -> None:
        thread = threading.Thread(target=fail)
        thread.start()
        thread.join()

    caught: list[threading.ExceptHookArgs] = []
    monkeypatch.setattr(threading, "excepthook", caught.append)
    before = threading.excepthook
    with monkeypatch.context() as patched:
        patched.setattr(RecordWriter, "write", full)
        for _ in range(3):
            with Logs(tmp_path) as logs:
                logs.write(Progress("reaction", 25, 100, {"velocity": 0.5}))
                assert "No space left" in logs.problem
                somebody_s()
            assert [type(a.thread) for a in caught] == [threading.Thread]
            assert threading.excepthook == before
            caught.clear()
    assert len((tmp_path / "log.jsonl").read_text().splitlines()) == 3
    with Logs(tmp_path) as logs:
        logs.write(Progress("reaction", 50, 100, {"velocity": 0.5}))
        monkeypatch.setattr(RecordWriter, "write", full)
        for _ in range(2):
            logs.write(Progress("reaction", 75, 100, {"velocity": 0.5}))
    assert "No space left" in logs.problem
    assert caught == []
    assert threading.excepthook == before


@pytest.mark.parametrize(("seconds", "shown"), [(0, "0:00"), (61.4, "1:01"), (3725, "1:02:05"), (float("nan"), "?")])
def test_time_left(seconds: float, shown: str) -> None:
    assert clock_face(seconds) == shown
