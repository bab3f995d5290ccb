"""A blind session in the graph: its condition acts, and nothing that the operator can see tells of it."""

from __future__ import annotations

import json
import re
import subprocess
import urllib.request

import numpy as np
import pytest
from ros_harness import RosGraph

from reactdiff_ros import msg
from reactdiff_ros.launching.condition import CONDITION_VARIABLE
from reactdiff_ros.messages import fill_speaker
from reactdiff_ros.recordings.bags.storage import BagFiles, study_of
from reactdiff_ros.recordings.blinding import Key, StudyPlan, opened, seal, sessions_of
from reactdiff_ros.types import SpeakerFrame

pytestmark = pytest.mark.ros

CONDITIONS = {"mirroring": {"policy": "mime", "intensity": 1.37}, "thumb": {"policy": "rules"}}
SECRET = re.compile(r"\b(mirroring|thumb|mime|rules|1\.37)\b")
TOPICS = ("listener/status", "listener/reaction", "listener/expression", "/diagnostics")


@pytest.fixture(scope="module")
def sealed(tmp_path_factory):
    """A study's key, and the veil of a session that mimes."""
    plan = StudyPlan("warm", "between", ("p01", "p02", "p03", "p04"), CONDITIONS)
    sessions = sessions_of(plan, 2)
    public, key = seal(plan, sessions, 2, np.random.default_rng(3).bytes)
    path = tmp_path_factory.mktemp("key") / "key.json"
    path.write_text(json.dumps(key))
    mine = next(s.id for s in sessions if s.condition == "mirroring")
    return Key(path), mine, next(row["veil"] for row in public["sessions"] if row["session"] == mine)


@pytest.fixture(scope="module")
def graph(tmp_path_factory, sealed):
    graph = RosGraph(tmp_path_factory.mktemp("blind"))
    graph.environment[CONDITION_VARIABLE] = sealed[2]
    yield graph
    graph.close()


def everything(graph) -> dict[str, list]:
    """Every message of every topic that a node may publish, `/rosout` and parameter events among them."""
    from rcl_interfaces.msg import Log, ParameterEvent

    seen: dict[str, list] = {}
    for topic in TOPICS:
        graph.listen(topic)
    for name, kind in (("/rosout", Log), ("/parameter_events", ParameterEvent)):
        seen[name] = []
        graph.node.create_subscription(kind, name, seen[name].append, 1000)
    return seen


def speak(graph, seconds: float = 4.0) -> None:
    """Somebody who smiles and stops smiling."""

    graph.connect("speaker/frame")
    for i in range(round(seconds * 25)):
        now = graph.node.get_clock().now().nanoseconds
        face = np.zeros(58, np.float32)
        face[:52] = 0.4 * (i // 12 % 2)
        frame = SpeakerFrame(now, now, None, 1, True, True, face, np.ones(58, np.float32), 1.0, *[None] * 4)
        graph.publish("speaker/frame", fill_speaker(msg.SpeakerFrame(), frame))
        graph.spin(0.04)


def test_nothing_that_the_operator_sees_tells_the_condition(graph, sealed, tmp_path):
    import websocket

    key, session, _ = sealed
    seen = everything(graph)
    graph.start("reaction_node")
    graph.start("expression_node")
    url = graph.page(graph.start("avatar_node", port=18981))
    recorder = graph.start("recorder_node", output=tmp_path / "bag", session=session)
    graph.wait_active("reaction_node", "expression_node", "avatar_node", "recorder_node")
    page = websocket.create_connection(f"{url.replace('http', 'ws', 1)}ws", origin=url.rstrip("/"), timeout=5)
    speak(graph)
    shown = [text for _ in range(200) if isinstance(text := page.recv(), str)]
    page.close()
    with urllib.request.urlopen(f"{url}api/status", timeout=5) as answer:
        status = answer.read().decode()
    processes = subprocess.run(
        ["ps", "-o", "args=", "-p", ",".join(str(p.process.pid) for p in graph.processes)],
        capture_output=True,
        text=True,
    ).stdout
    assert json.loads(status)["graph"]["listener"]["session"] == session
    assert shown
    texts = {
        **{name: str(messages) for name, messages in {**graph.received, **seen}.items()},
        "page": "".join(shown), "api": status, "processes": processes,
        "logs": "".join(p.log for p in graph.processes),
    }  # fmt: skip
    assert all(texts[name] for name in (*TOPICS[:3], "/rosout", "processes", "logs"))
    found = {name: hits for name, text in texts.items() if (hits := SECRET.findall(text))}
    assert not found
    # Not by figures either: a model takes long, and who listens to nobody has no latency.
    reaction = [m for m in graph.received["listener/status"] if m.stage == "reaction_node"][-1]
    assert np.isnan([reaction.rate, reaction.latency_p50, reaction.latency_p99]).all()
    assert {m.compute_time for m in graph.received["listener/reaction"]} == {0.0}
    assert "condition hidden" in graph.sentence("reaction_node")

    graph.processes.remove(recorder)
    assert recorder.stop(timeout_s=20.0) == 0
    bag = BagFiles(tmp_path / "bag")
    assert not SECRET.search(json.dumps(bag.custom_data))
    for topic, _, data in bag.records({"/listener/status", "/listener/reaction"}):
        assert not SECRET.search(bytes(data).decode("latin-1")), topic
    study = study_of(bag.custom_data)
    assert "reaction_node.policy" not in study.parameters
    assert study.parameters["reaction_node.candidates"] == 4
    revealed = opened(tmp_path / "bag", key)
    assert (revealed.condition, revealed.session) == ("mirroring", session)


def test_the_condition_acts(graph):
    """The mime copies the whole face that was shown to it; no other listener does."""
    plans = np.array([np.reshape(m.coefficients, (m.horizon, 58)) for m in graph.received["listener/reaction"]])
    assert (plans[..., :52].max((0, 1)) > 0.15).sum() > 40


def test_a_condition_that_cannot_run_is_not_named(sealed, tmp_path):
    plan = StudyPlan("warm", "between", ("p01", "p02"), {"diffusing": {"policy": "model"}, "b": {"policy": "model"}})
    sessions = sessions_of(plan, 1)
    public, _ = seal(plan, sessions, 1, np.random.default_rng(3).bytes)
    graph = RosGraph(tmp_path)
    try:
        graph.environment[CONDITION_VARIABLE] = public["sessions"][0]["veil"]
        graph.start("reaction_node", model_dir=tmp_path)
        graph.until(lambda: "cannot run" in graph.sentence("reaction_node"), 40.0, "the sentence")
        log = graph.processes[0].log
        assert "study check" in log
        assert not re.search(r"diffusing|weights|rules|model\b", log)
        assert graph.state("reaction_node") == "unconfigured"
    finally:
        graph.close()


def test_a_broken_veil_is_one_sentence(tmp_path):
    graph = RosGraph(tmp_path)
    try:
        graph.environment[CONDITION_VARIABLE] = "no veil"
        node = graph.start("reaction_node")
        assert node.ended() == 2
        assert "condition cannot be read" in node.log
        assert "Traceback" not in node.log
    finally:
        graph.close()
