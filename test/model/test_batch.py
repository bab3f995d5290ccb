"""Many listeners at once, live ones and batched streams: each as it is alone, causal, with its own faults; in time."""

from dataclasses import fields, replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from speaker_frames import LATENCY, SLOT, drive, frame, session, shown, voice

from reactdiff_ros.coefficients import BLINK, EYE_LOOK
from reactdiff_ros.errors import MessageError
from reactdiff_ros.model.batch import DEADLINE_S, ListenerBatch, Quality, QualityChoice
from reactdiff_ros.model.diffusion.conditions import CONTROL_NAMES
from reactdiff_ros.model.diffusion.sampler import Sampling, ordinary
from reactdiff_ros.model.diffusion.tokens import SpeakerBatch, from_frame
from reactdiff_ros.model.listener import ListenerConfig
from reactdiff_ros.model.plan.corrections import conditioning
from reactdiff_ros.model.policies import make_listener
from reactdiff_ros.model.streams import SPEAKERS, free_run, speaker_tokens
from reactdiff_ros.types import Reaction, SpeakerFrame


def speakers(count: int, seconds: float = 3.0) -> dict[str, list[SpeakerFrame]]:
    """Frames of as many different people."""
    return {
        f"r{i}": list(session(seconds, smile=lambda t, i=i: 0.7 * (int(2 * t + i) % 3 == 1), talk=i % 2 == 0))
        for i in range(count)
    }


def joined(make, names, choice: QualityChoice | None = None, **settings) -> ListenerBatch:
    batch = ListenerBatch(choice)
    for seed, name in enumerate(names):
        batch.join(name, make(seed, **settings))
    return batch


def due(batch: ListenerBatch, frames: dict[str, list[SpeakerFrame]], k: int = 0, now_s: float = 0.0):
    """The round after frame `k` of everyone."""
    for name, mine in frames.items():
        batch.observe(name, mine[k])
    return batch.due({name: mine[k].stamp_ns + LATENCY for name, mine in frames.items()}, now_s)


def test_the_same_reaction_alone_and_in_a_batch_with_people_who_come_and_go(make):
    """One of them without networks; r1 leaves at frame 40, r2 and r3 join later."""
    several = {"publish_candidates": True}
    settings = {"r0": {}, "r1": several, "r2": {"guidance": 1.5}, "r3": {"responsiveness": 0.9}, "r4": None}
    frames, batch = speakers(5), ListenerBatch()
    join, leave = {"r0": 0, "r1": 0, "r2": 11, "r3": 30, "r4": 0}, {"r1": 40}
    shown: dict[str, list[Reaction]] = {name: [] for name in frames}

    def listener(name: str):
        own = settings[name]
        return make_listener("rules", seed=4, config=ListenerConfig()) if own is None else make(int(name[1]), **own)

    for k in range(75):
        for name in [name for name, at in join.items() if at == k]:
            batch.join(name, listener(name))
        for name in [name for name, at in leave.items() if at == k]:
            batch.leave(name)
        found = due(batch, {name: mine for name, mine in frames.items() if name in batch}, k)
        for name, plan in ({} if found is None else batch.finished(found.draw(), 0.0, 0.0)).items():
            shown[name].append(plan)
    for name, mine in frames.items():
        alone = drive(listener(name), mine[join[name] : leave.get(name)], int(name[1]))
        assert len(alone) > 0
        for a, b in zip(shown[name], alone, strict=True):
            assert (a.start_ns, a.reason, a.engaged, a.seed) == (b.start_ns, b.reason, b.engaged, b.seed)
            np.testing.assert_allclose(a.coefficients, b.coefficients, atol=1e-5)
    faces = [np.concatenate([p.coefficients for p in shown[name][:6]]) for name in ("r0", "r1")]
    assert np.abs(faces[0] - faces[1]).max() > 0.01


def test_a_malformed_frame_and_a_listener_that_raises_are_the_fault_of_one_alone(make, monkeypatch):
    frames, batch, broken = speakers(3, 0.2), joined(make, ["r0", "r1"]), make()
    monkeypatch.setattr(broken, "due", lambda now_ns: 1 / 0)
    batch.join("r2", broken)
    with pytest.raises(MessageError):
        batch.observe("r1", replace(frames["r1"][0], coefficients=np.zeros(3, np.float32)))
    batch.observe("r0", frames["r0"][0])
    found = batch.due({name: mine[0].stamp_ns + LATENCY for name, mine in frames.items()}, 0.0)
    assert isinstance(found.failed["r2"], ZeroDivisionError)
    assert set(batch.finished(found.draw(), 0.01, 0.0)) == {"r0"}


def test_a_listener_that_leaves_or_is_reset_while_its_plan_is_drawn_has_none(make):
    frames = speakers(3, 1.0)
    batch = joined(make, frames)
    drawn = due(batch, frames).draw()
    batch.leave("r1")
    batch.members()[-1].reset()
    answered = batch.finished(drawn, 0.02, 0.0)
    assert {name: plan.compute_s for name, plan in answered.items()} == {"r0": 0.02}
    assert batch.due({"r2": frames["r2"][0].stamp_ns + LATENCY}, 0.0) is None  # it knows no one now


def test_a_failed_round_is_made_up_for_and_says_nothing_of_speed(make):
    batch, frames = joined(make, ["r0", "r1"], QualityChoice(4, 4)), speakers(2, 2.0)
    assert due(batch, frames) is not None
    assert due(batch, frames, 5) is None, "one round is drawn at a time"
    assert batch.finished({}, 0.0, 9.0) == {}
    assert set(due(batch, frames, 6).requests) == set(frames)
    assert batch.plans == batch.choice.changes == 0


def test_a_slow_runtime_gets_fewer_candidates_and_steps_and_then_no_deadline_is_missed(make):
    """Draws really, in an imagined time of 9 ms for a step of a candidate."""
    frames = speakers(2, 10.0)
    batch = joined(make, frames, QualityChoice(4, 4), steps=4, candidates=4, publish_candidates=True)
    sizes, taken, missed = [], [], 0
    for k in range(250):
        now_s = 50.0 + 0.04 * k
        found = due(batch, frames, k, now_s)
        if found is not None:
            sizes.append({(r.draft.how.steps, r.draft.noise.shape[1]) for r in found.requests.values()})
            taken.append(max(0.009 * steps * (1 + 0.35 * (candidates - 1)) for steps, candidates in sizes[-1]))
            batch.finished(found.draw(), taken[-1], now_s + taken[-1])
        missed = batch.misses if k <= 100 else missed
    assert batch.misses == missed > 0
    assert batch.choice.quality == Quality(3, 1)
    assert all(size == {(3, 1)} for size in sizes[-20:])
    assert max(taken[-20:]) <= DEADLINE_S
    figures = batch.figures()
    assert (figures["quality"], figures["quality_steps"], figures["quality_candidates"]) == ("4 of 5", "3", "1")
    late = make(steps=4, candidates=4)
    batch.join("late", late)
    assert (late.state().settings["steps"], late.state().settings["candidates"]) == (3, 1)


def rounds(choice: QualityChoice, start_s: float, end_s: float, unit_s: float, fixed_s: float, share: float):
    """Times of rounds on a runtime that needs `unit_s` for a step, `share` more for each candidate beyond the first,
    and `fixed_s` for each plan; all candidates are drawn at every fifth only.
    """
    now_s, times = start_s, []
    while now_s < end_s:
        drawn = 1 if (len(times) + 1) % 5 else choice.quality.candidates
        times.append(fixed_s + unit_s * choice.quality.steps * (1 + share * (drawn - 1)))
        now_s += max(0.16, times[-1])
        choice.record(now_s, times[-1], drawn)
    return times


@given(
    unit_s=st.floats(1e-4, 0.015), fixed_s=st.floats(0.0, 0.006), share=st.floats(0.05, 1.0),
    steps=st.integers(1, 32), candidates=st.integers(1, 16),
)  # fmt: skip
def test_on_any_machine_that_can_plans_are_in_time_and_quality_settles(unit_s, fixed_s, share, steps, candidates):
    choice = QualityChoice(steps, candidates)
    rounds(choice, 0.0, 900.0, unit_s, fixed_s, share)
    changes = choice.changes
    late = rounds(choice, 901.0, 1200.0, unit_s, fixed_s, share)
    assert choice.changes - changes <= 2
    if fixed_s + unit_s * choice.rungs[-1].steps <= DEADLINE_S:
        allowed = 12 * (choice.changes - changes)  # those by which a try at a better quality is found too dear
        assert sum(t > DEADLINE_S for t in late) <= allowed
    else:
        assert choice.exhausted


FAST = Sampling(steps=2, guidance=1.5, hop=4, lead=0, blend=False)


def talking(count, seed=0, rise=0.0):
    """A speaker who is there and talks all the time, and smiles slowly up and down: no clear evidence ever."""
    for i in range(count):
        t = i * 0.04
        heard = voice(True, utterance_s=t, pitch_hz=140 + 20 * np.sin(t))
        yield frame(i * SLOT, 0.3 + rise * i / count + 0.12 * float(np.sin(0.5 * t + seed)), heard)


def batch_of(*speakers):
    rows = [[from_frame(f) for f in frames] for frames in speakers]
    names = [f.name for f in fields(SpeakerBatch)]
    return SpeakerBatch(**{n: np.stack([np.concatenate([getattr(b, n) for b in r]) for r in rows]) for n in names})


@pytest.fixture(scope="module")
def tokens(networks, random_weights):
    return speaker_tokens(networks, batch_of(*(talking(100, seed) for seed in range(3))))


def run(networks, tokens, how=FAST, count=4, **more):
    given = {"speaker_of": np.arange(count) % len(tokens), "seeds": np.arange(count), "how": how, **more}
    return free_run(networks, tokens, ordinary(count), **given)


@pytest.mark.parametrize(("candidates", "delay_s"), [(1, 0.0), (3, 0.0), (1, 0.4)])
def test_the_live_listener_fed_frame_by_frame_shows_the_same(networks, random_weights, make, candidates, delay_s):
    frames = list(talking(110, rise=0.6))  # to a broad smile
    how, published = {"steps": 3, "guidance": 1.5}, {"candidates": candidates, "publish_candidates": candidates > 1}
    listener = make(7, **how, **published, hop_s=0.16, style="natural", greeting_s=0.0, delay_s=delay_s)
    plans = drive(listener, frames, 7)
    assert {plan.reason for plan in plans} == {"hop"}
    live = shown(plans)
    batch = free_run(
        networks, speaker_tokens(networks, batch_of(frames)), conditioning(listener._style),
        speaker_of=np.zeros(1, dtype=int), seeds=np.array([7]), how=Sampling(**how, hop=4, lead=0), first=1,
    )[0]  # fmt: skip
    compared = [i for i in range(58) if i not in (*EYE_LOOK, *BLINK)]  # those are other layers' work
    assert batch[20:110, compared].std(0).max() > 0.02
    np.testing.assert_allclose(live[19:109, compared], batch[20:110, compared], atol=1e-4)


def test_a_stream_is_its_own_whatever_runs_beside_it_also_in_several_threads(networks, tokens):
    together, again = (run(networks, tokens, count=SPEAKERS + 3, workers=2) for _ in range(2))
    np.testing.assert_array_equal(together, again)
    assert SPEAKERS % 3 == 1
    alone = run(networks, tokens[1:2], count=1, seeds=np.array([SPEAKERS]))
    np.testing.assert_allclose(together[SPEAKERS], alone[0], atol=1e-4)
    assert np.abs(together[0] - together[3]).max() > 0.02, "same speaker, other seed"


def test_streams_are_causal_and_a_reaction_delay_shows_the_speaker_so_much_later(networks, tokens):
    asked = ordinary(2)
    asked.controls[1, CONTROL_NAMES.index("delay")] = 0.4
    other = tokens.copy()
    other[:, 50:] += 1.0
    first, second = (
        free_run(networks, heard, asked, speaker_of=np.zeros(2, dtype=int), seeds=np.full(2, 5), how=FAST)
        for heard in (tokens, other)
    )
    # The first plans that begin 1 and 11 frames after frame 50; a plan uses tokens up to the frame before it.
    assert (first != second).any(-1).argmax(1).tolist() == [52, 64]
    assert np.abs(first[:, 64:] - second[:, 64:]).max() > 1e-4


def test_what_was_shown_before_is_continued(networks, tokens):
    shown = np.zeros((2, 20, 58), dtype=np.float32)
    shown[1, :, 43:45] = 0.9
    face = run(networks, tokens[:1], count=2, seeds=np.zeros(2, dtype=int), shown=shown)
    assert np.abs(face[0, :4] - face[1, :4]).max() > 0.01
    np.testing.assert_allclose(face[0], run(networks, tokens[:1], count=1)[0], atol=1e-4)
