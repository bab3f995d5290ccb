"""A blind session in the graph: its condition acts, and nothing that the operator can see tells of it."""

import json
import re
import subprocess

import numpy as np
import pytest
from faces_shown import feed, somebody
from rcl_interfaces.msg import Log, ParameterEvent
from ros_harness import ask
from websocket import create_connection

from reactdiff_ros.launching.condition import CONDITION_VARIABLE
from reactdiff_ros.recordings.bags.storage import BagFiles, study_of
from reactdiff_ros.recordings.blinding import Key, StudyPlan, opened, seal, sessions_of

pytestmark = pytest.mark.ros

CONDITIONS = {"mirroring": {"policy": "mime", "intensity": 1.37}, "thumb": {"policy": "rules"}}
SECRET = re.compile(r"\b(mirroring|thumb|mime|rules|1\.37)\b")
TOPICS = ("listener/status", "listener/reaction", "listener/expression", "/diagnostics")


def smiles(now_ns, time_s):
    """Somebody whose whole face moves, and moves back."""
    return somebody(now_ns, face_of=np.full(58, 0.4 * (int(2 * time_s) % 2), np.float32))


def test_the_condition_acts_and_nothing_that_the_operator_sees_tells_it(graph, tmp_path):
    plan = StudyPlan("warm", "between", ("p01", "p02", "p03", "p04"), CONDITIONS)
    sessions = sessions_of(plan, 2)
    public, key = seal(plan, sessions, 2, np.random.default_rng(3).bytes)
    (tmp_path / "key.json").write_text(json.dumps(key))
    session = next(s.id for s in sessions if s.condition == "mirroring")
    (graph.environment[CONDITION_VARIABLE],) = (r["veil"] for r in public["sessions"] if r["session"] == session)

    graph.listen(*TOPICS)
    for name, kind in (("/rosout", Log), ("/parameter_events", ParameterEvent)):
        graph.node.create_subscription(kind, name, graph.received[name].append, 1000)
    for node in ("reaction_node", "expression_node"):
        graph.start(node)
    url = graph.page(graph.start("avatar_node", port=18981))
    recorder = graph.start("recorder_node", output=tmp_path / "bag", session=session)
    graph.wait_active(*(process.name for process in graph.processes))
    page = create_connection(url.replace("http", "ws", 1) + "ws", origin=url.rstrip("/"), timeout=10)
    graph.connect("speaker/frame")
    feed(graph, 3.0, smiles)
    shown = [text for _ in range(200) if isinstance(text := page.recv(), str)]
    page.close()
    # The mime copies the whole face that was shown to it; no other listener does.
    plans = np.array([np.reshape(m.coefficients, (m.horizon, 58)) for m in graph.received["listener/reaction"]])
    assert (plans[..., :52].max((0, 1)) > 0.15).sum() > 40
    status = ask(url)[1]
    assert status["graph"]["listener"]["session"] == session
    processes = ["ps", "-o", "args=", "-p", ",".join(str(p.process.pid) for p in graph.processes)]
    texts = {name: str(messages) for name, messages in graph.received.items()} | {
        "page": "".join(shown), "api": json.dumps(status), "logs": "".join(p.log for p in graph.processes),
        "processes": subprocess.run(processes, capture_output=True, text=True).stdout,
    }  # fmt: skip
    assert all(texts[name] for name in (*TOPICS[:3], "/rosout", "page", "processes", "logs"))
    assert {name: hits for name, text in texts.items() if (hits := SECRET.findall(text))} == {}
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
    revealed = opened(tmp_path / "bag", Key(tmp_path / "key.json"))
    assert (revealed.condition, revealed.session) == ("mirroring", session)
