"""A bag played into the running graph: what an offline replay gives, at any speed, over and over, paused."""

import json

import numpy as np
import pytest
from bag_making import START, demo_bag
from ros_harness import RosGraph, command

from reactdiff_ros.clock import NS, to_ns
from reactdiff_ros.coefficients import BLENDSHAPE_NAMES
from reactdiff_ros.errors import ReactdiffError
from reactdiff_ros.messages import expression_value, reaction_value, speaker_value
from reactdiff_ros.nodes.reaction_node import PICTURE_LATENCY_NS
from reactdiff_ros.recordings.graph.bag_player import Player, Script
from reactdiff_ros.recordings.replay import ReplaySettings, steps
from reactdiff_ros.session import SessionConfig

pytestmark = [pytest.mark.ros, pytest.mark.real_time]

VALUES = {
    "speaker/frame": speaker_value, "listener/reaction": reaction_value, "listener/expression": expression_value,
}  # fmt: skip
SECONDS = 2.0
PLANNED = [i for i, name in enumerate(BLENDSHAPE_NAMES) if not name.startswith("eye")]
"""Glances and blinks are drawn anew at every round."""
NODES = ("perception_node", "reaction_node", "expression_node")


@pytest.fixture(scope="module")
def bag(tmp_path_factory):
    return demo_bag(tmp_path_factory.mktemp("bag") / "short", SECONDS)


@pytest.fixture(scope="module")
def offline(bag):
    """Frames, plans and faces of the offline replay."""
    done = list(steps(bag, ReplaySettings(policy="mime", seed=3)))
    frames, faces = ({f.stamp_ns: f for step in done for f in getattr(step, name)} for name in ("speaker", "faces"))
    return frames, [p for step in done for p in step.reactions], faces


@pytest.fixture(scope="module")
def graph(tmp_path_factory):
    with RosGraph(tmp_path_factory.mktemp("sim")) as graph:
        for node, parameters in zip(NODES, ({}, {"policy": "mime", "seed": 3}, {"seed": 3}), strict=True):
            graph.start(node, use_sim_time=True, **parameters)
        graph.listen(*VALUES)
        graph.wait_active(*NODES)
        graph.until(lambda: all("/clock" in graph.sentence(n) for n in NODES), 20.0, "a sentence before any clock")
        assert {graph.level(n) for n in NODES} == {1}
        yield graph


@pytest.fixture(scope="module")
def play(graph, bag):
    """Plays the bag once; what was received meanwhile, as values."""

    def played(rate):
        graph.clear()
        process = command(graph.environment, "bag", "replay", str(bag), "--realtime", "--rate", str(rate), "--json")
        graph.until(lambda: process.poll() is not None, 90.0, "the player's end")
        out, err = process.communicate()
        assert process.returncode == 0, err
        graph.spin(0.5)
        return *([value(m) for m in graph.received[topic]] for topic, value in VALUES.items()), json.loads(out)

    return played


def in_full(play, offline):
    """Played slowly enough: tried until the machine, which may be busy, can follow."""
    for rate in (1.0, 0.5, 0.2, 0.05):
        done = play(rate)
        if len(done[0]) >= 0.97 * len(offline[0]):
            break
    return done


@pytest.fixture(scope="module")
def first(play, offline):
    return in_full(play, offline)


def starts(plans):
    return np.array([p.start_ns for p in plans if p.start_ns < START + to_ns(SECONDS)])


def near(some, others):
    """The share of these times that have one of the others within a frame."""
    return (np.abs(some[:, None] - others[None]).min(axis=1) <= NS // 25).mean()


def test_frames_plans_and_faces_are_those_of_the_offline_replay_within_one_frame(graph, first, offline):
    frames, plans, faces, summary = first
    assert (summary["complete"], summary["pictures"]) == (True, len(offline[0]))
    assert summary["sounds"] > 0
    assert summary["recorded_s"] == pytest.approx(SECONDS, abs=0.2)
    assert to_ns(SessionConfig().picture_latency_s) == PICTURE_LATENCY_NS, "as pictures are counted in a session"
    live = {f.stamp_ns: f for f in frames}
    both = live.keys() & offline[0].keys()
    assert len(both) >= 0.95 * len(offline[0])
    for stamp in both:
        # An id is never given twice, also not when the bag is played again.
        assert (live[stamp].person_id >= 0) == (offline[0][stamp].person_id >= 0)
        np.testing.assert_allclose(live[stamp].coefficients, offline[0][stamp].coefficients, atol=0.1)
    here, there = starts(plans), starts(offline[1])
    assert len(there) > 6
    assert min(near(here, there), near(there, here)) > 0.9
    assert all(p.picture_stamp_ns is None or p.picture_stamp_ns <= p.start_ns for p in plans)
    shown = {f.stamp_ns: f for f in faces}
    times = sorted(t for t in offline[2] if t < START + to_ns(SECONDS))
    assert sum(t in shown for t in times) >= 0.9 * len(times), "on the very grid of a session"
    ours = np.array([offline[2][t].coefficients[PLANNED] for t in times])
    for place in range(4, len(times) - 4):
        if times[place] in shown:
            around = ours[place - 2 : place + 3]
            low, high = around.min(axis=0) - 0.1, around.max(axis=0) + 0.1
            face = shown[times[place]].coefficients[PLANNED]
            assert ((face >= low) & (face <= high)).mean() > 0.95, times[place]
    frozen = lambda: all("is frozen" in graph.sentence(n) for n in NODES)  # noqa: E731
    graph.until(frozen, 20.0, "the sentence")
    graph.spin(3.0)
    assert frozen(), "a bag that has ended is no missing camera"
    assert {graph.state(n) for n in NODES} == {"active"}


@pytest.mark.slow
def test_played_again_it_listens_anew_with_the_same_plans(first, play, offline):
    late = np.array([p.start_ns for p in in_full(play, offline)[1] if p.start_ns > START + NS])
    assert late.any()
    assert near(late, np.array([p.start_ns for p in first[1]])) > 0.9


def test_a_fast_bag_leaves_faces_out_and_harms_nothing(play, graph, first):
    frames, _, faces, summary = play(rate=4.0)
    assert summary["took_s"] < 30.0
    assert frames
    assert all(START <= f.stamp_ns <= START + to_ns(SECONDS) for f in frames)
    assert (np.diff([f.stamp_ns for f in faces]) > 0).all()
    assert all(np.isfinite(f.coefficients).all() for f in faces)
    assert {graph.state(n) for n in NODES} == {"active"}


def test_nobody_who_listens_is_one_sentence(bag, monkeypatch, domain):
    monkeypatch.setenv("ROS_DOMAIN_ID", str(domain))
    with Player(Script(bag)) as player, pytest.raises(ReactdiffError, match=r"no node subscribes.*use_sim_time:=true"):
        player.wait_for_listener(lambda: False, wait_s=0.2)
