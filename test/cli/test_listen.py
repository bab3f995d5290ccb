"""`reactdiff listen`: how its arguments are read, what it says, and the command on the real graph."""

import asyncio
import json
import os
import re
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from importlib.util import find_spec
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import click
import psutil
import pytest
import yaml
from deadline import ended, until

from reactdiff_ros.avatar import AvatarConfig, AvatarServer
from reactdiff_ros.avatar.access import LINK_VARIABLE
from reactdiff_ros.avatar.arming import TOKEN_VARIABLE
from reactdiff_ros.cli.bag import _domain_without_listener
from reactdiff_ros.cli.listen import _announce, choose_source, read_assignments
from reactdiff_ros.cli.main import main
from reactdiff_ros.errors import ConfigError, ReactdiffError
from reactdiff_ros.launching import devices, live_graph
from reactdiff_ros.launching.live_graph import Claim, LiveGraph, LiveOptions, NodeReport, node_command, wanted_nodes
from reactdiff_ros.launching.table import LONGEST_NAMESPACE, load_table
from tools.programs import with_us

ROOT = Path(__file__).resolve().parents[2]
_claim = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)


def free_domain() -> int:
    """The first that no other run of these tests on this machine uses; clear of the bench's and of test/ros."""
    for domain in range(60, 71):
        with suppress(OSError):
            _claim.bind(f"\0reactdiff_ros-test-cli/{domain}")
            return domain
    raise RuntimeError("eleven runs of these tests at once are enough")


DOMAIN = free_domain()


@pytest.fixture
def installed(tmp_path, monkeypatch):
    """A prefix with a fake program for every node: it sleeps."""
    folder = tmp_path / "prefix" / "lib" / "reactdiff_ros"
    folder.mkdir(parents=True)
    for node in load_table().nodes:
        (folder / node.name).write_text("#!/bin/sh\necho face at http://127.0.0.1:1/\nexec sleep 600\n")
        (folder / node.name).chmod(0o755)
    monkeypatch.setenv("AMENT_PREFIX_PATH", f"/nowhere:{tmp_path / 'prefix'}")
    return folder


def test_what_was_given_reaches_the_nodes_that_have_it_and_wins(installed, tmp_path):
    mine = tmp_path / "mine.yaml"
    mine.write_text("reaction_node: {ros__parameters: {policy: mime}}")
    given = {"camera": "0", "policy": "rules"}
    options = LiveOptions(arguments=given, parameters={"seed": 7}, params_file=mine, namespace="/a/b")
    for node, parameters in (("camera_node", {"device": "0"}), ("reaction_node", {"policy": "rules", "seed": 7})):
        words = node_command(load_table().node(node), options, tmp_path).command
        assert words[:4] == (str(installed / node), "--ros-args", "-r", "__ns:=/a/b")
        files = [Path(words[i + 1]) for i, word in enumerate(words) if word == "--params-file"]
        assert [file.name for file in files] == ["robot.yaml", "mine.yaml", f"{node}.yaml"], "the last one is strongest"
        assert yaml.safe_load(files[-1].read_text()) == {f"/a/b/{node}": {"ros__parameters": parameters}}


def test_wrong_options_are_sentences(tmp_path):
    for wrong in (
        {"parameters": {"seed": -1}}, {"parameters": {"nonsense": 1}}, {"namespace": "robot1"}, {"namespace": "/9"},
        {"namespace": "/" + "a" * LONGEST_NAMESPACE}, {"params_file": tmp_path}, {"arguments": {"robot": "hal9000"}},
    ):  # fmt: skip
        with pytest.raises(ConfigError):
            wanted_nodes(LiveOptions(**wrong))


def test_discovery_stays_on_this_machine_unless_told_otherwise():
    base = {"ROS_AUTOMATIC_DISCOVERY_RANGE": "SUBNET", "PATH": "/bin"}
    for lan, reach, alone in ((False, "LOCALHOST", "1"), (True, "SUBNET", "0")):
        found = live_graph.graph_environment(LiveOptions(lan=lan, domain=5), base)
        assert found.items() >= {"ROS_AUTOMATIC_DISCOVERY_RANGE": reach, "PATH": "/bin", "ROS_DOMAIN_ID": "5"}.items()
        assert "ROS_LOCALHOST_ONLY" not in found
        humble = live_graph.graph_environment(LiveOptions(lan=lan), base | {"ROS_DISTRO": "humble"})
        assert humble["ROS_LOCALHOST_ONLY"] == alone


def test_one_listener_in_a_namespace_of_a_domain(tmp_path, monkeypatch):
    claim = Claim(DOMAIN, "/claimed")
    with pytest.raises(ReactdiffError, match=rf"already runs \(process {os.getpid()}\)"):
        Claim(DOMAIN, "/claimed")
    Claim(232, "/" + "a" * (LONGEST_NAMESPACE - 1)).release()
    Claim(DOMAIN + 1, "/claimed").release()
    # A recording next to it is one of a listener that runs.
    monkeypatch.setenv("REACTDIFF_HOME_DIR", str(tmp_path))
    monkeypatch.setenv("ROS_DOMAIN_ID", str(DOMAIN))
    assert _domain_without_listener("claimed") is None
    claim.release()
    assert _domain_without_listener("claimed") == DOMAIN


@pytest.fixture
def graph(installed, tmp_path):
    said: list[str] = []
    options = LiveOptions(arguments={"clip": "x.mp4"}, namespace="/said", domain=DOMAIN)
    with LiveGraph(options, said.append, tmp_path / "log") as made:
        made.start(wanted_nodes(options))
        yield made, said


def test_it_is_active_when_all_nodes_are(graph):
    made, _ = graph
    assert not made.active()
    for name in made.supervisor.pids():
        made.hear(NodeReport(name, 0, "works", {"state": "active"}))
    assert made.active()
    made.hear(NodeReport("clip_node", 1, "configured", {"state": "inactive"}))
    assert not made.active()


def test_errors_are_said_at_once_and_a_warning_that_lasts_by_the_first_node_that_has_it(graph, monkeypatch):
    made, said = graph
    for level, sentence in ((2, "is broken"), (2, "is broken"), (2, "is missing"), (0, "plays"), (1, "no sound")):
        made.hear(NodeReport("clip_node", level, sentence))
    made.hear(NodeReport("somebody_elses_node", 2, "broken"))
    assert said == ["clip_node: is broken", "clip_node works again: plays"]
    said.clear()
    now = [time.monotonic() + 100.0]
    monkeypatch.setattr(live_graph.time, "monotonic", lambda: now[0])
    for warns, seconds, lines in ((0, 1, 0), (1, 3, 0), (0, 3, 0), (1, 20, 1), (0, 20, 2)):
        for _ in range(seconds):
            now[0] += 1.0
            for name in ("clip_node", "perception_node"):
                made.hear(NodeReport(name, warns, "a sentence"))
        assert len(said) == lines
    assert said == ["clip_node: a sentence", "clip_node works again: a sentence"]


def test_assignments_are_read_as_by_the_launch_file(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    given = read_assignments(("record:=true", "consent:=form 12: yes", "record_to:=study/p07"))
    assert given == {"record": "true", "consent": "form 12: yes", "record_to": str(tmp_path / "study/p07")}
    for word in ("record", "record=true", ":=true", "namespace:=robot1", "params_file:=x.yaml"):
        with pytest.raises(click.UsageError):
            read_assignments((word,))


@pytest.mark.parametrize("variable", [TOKEN_VARIABLE, LINK_VARIABLE])
def test_the_pages_node_is_given_a_token_and_a_weak_one_is_refused(variable, tmp_path, monkeypatch, capsys):
    """Before, `REACTDIFF_PAGE_TOKEN=1` armed the robot."""

    def token() -> str:
        with LiveGraph(LiveOptions(namespace="/token_test"), print, tmp_path / "log") as graph:
            given = {TOKEN_VARIABLE: graph.page_token, LINK_VARIABLE: graph.link_token}
            assert given.items() <= graph.supervisor.environment.items()
            return given[variable]

    monkeypatch.delenv(variable, raising=False)
    made = token()
    assert len(made) >= 16
    assert token() != made
    monkeypatch.setenv(variable, f" {'a1' * 8} ")
    assert token() == "a1" * 8
    monkeypatch.setenv(variable, "1")
    assert main(["listen", "--namespace", "/token_test"]) == 2, "as for every wrong setting: systemd does not try again"
    assert re.search(f"{variable}.*16 to 128|16 to 128.*{variable}", capsys.readouterr().err)


def test_the_secrets_stay_out_of_this_process(tmp_path, monkeypatch):
    graph_watch = pytest.importorskip("reactdiff_ros.nodes.graph_watch", reason="no rclpy")
    monkeypatch.setattr(graph_watch, "GraphWatch", lambda *_: SimpleNamespace(close=lambda: None))
    given = {name: value for name, value in os.environ.items() if name not in (TOKEN_VARIABLE, LINK_VARIABLE)}
    monkeypatch.setattr(os, "environ", given)
    with LiveGraph(LiveOptions(namespace="/token_test", domain=97), print, tmp_path / "log") as one:
        graph_watch.watch_graph(one)
        assert os.environ["ROS_DOMAIN_ID"] == "97"
        assert not {TOKEN_VARIABLE, LINK_VARIABLE} & set(os.environ)


@pytest.mark.parametrize(("host", "https"), [("127.0.0.1", False), ("0.0.0.0", False), ("0.0.0.0", True)])
async def test_a_page_of_this_machine_has_an_address_and_one_beyond_it_links(host, https, tmp_path, capsys):
    token, beyond = "a-token_of-22-letters0", host != "127.0.0.1"
    server = AvatarServer(AvatarConfig(port=0, host=host, https=https, state_dir=str(tmp_path)), link_token=token)
    graph: Any = SimpleNamespace(link_token=token, page_token="abcde-fghjk-mnp23", url=await server.start())
    graph.trust = server.trust
    await asyncio.to_thread(_announce, graph, as_json=False, nodes={"browser_node"}, pids={})
    await asyncio.to_thread(_announce, graph, as_json=True, nodes=set(), pids={})
    await server.stop()
    *said, report = capsys.readouterr().out.splitlines()
    out, found = "\n".join(said), json.loads(report)
    assert found["url"] in out
    assert found["url"].startswith("https://" if https else "http://")
    assert found["url"].endswith(f"/?token={token}") if beyond else found["url"] == graph.url
    assert (token in out) is ("The operator's token, to end a visit" in out) is beyond
    assert ("SHA-256" in out) is ("trust" in found) is https


def test_the_source_is_what_was_asked_for(tmp_path, monkeypatch):
    heard = devices.Microphones("built-in", ("built-in",))
    question = SimpleNamespace(answer=lambda: heard, drop=lambda: None)
    monkeypatch.setattr(devices, "MicrophoneQuestion", lambda: question)
    found = [devices.Camera(0, "locked", "no permission"), devices.Camera(2, "Webcam")]
    monkeypatch.setattr(devices, "cameras", lambda: found)
    both = {"camera": "2", "microphone": "default"}
    assert choose_source(None, None, None) == (both, "camera Webcam, built-in")
    assert choose_source("0", "none", None) == ({"camera": "0", "microphone": "none"}, "camera 0, no microphone")
    assert choose_source("none", "default", None)[0] == {"camera": "none", "microphone": "default"}
    heard = devices.Microphones(None, problem="it hangs")
    assert choose_source("1", None, None)[1] == "camera 1, no microphone (it hangs)"
    assert choose_source(None, None, tmp_path / "x.mp4")[0] == {"clip": str(tmp_path / "x.mp4")}


# On the real graph

ENVIRONMENT = {**os.environ, "ROS_DOMAIN_ID": str(DOMAIN), "ROS_AUTOMATIC_DISCOVERY_RANGE": "LOCALHOST"}
LAB = "arguments: {robot: anna, policy: idle}\nparameters: {'*': {intensity: 0.5, style: warm}}\n"
ANNA = "arguments: {robot: screen, namespace: supervised}\nparameters: {expression_node: {stillness: 0.25}}\n"
ASK = """
import json, rclpy
from rcl_interfaces.srv import GetParameters
rclpy.init()
node = rclpy.create_node("asks")
client = node.create_client(GetParameters, "/supervised/expression_node/get_parameters")
assert client.wait_for_service(30.0)
answer = client.call_async(GetParameters.Request(names=["intensity", "stillness", "style"]))
rclpy.spin_until_future_complete(node, answer, timeout_sec=30.0)
values = answer.result().values
print(json.dumps([values[0].double_value, values[1].double_value, values[2].string_value]))
"""
URL = r"http://127\.0\.0\.1:\d+/"


def live(test: Callable[..., None]) -> Callable[..., None]:
    """The test needs ROS, and a machine that keeps up with time."""
    needs_ros = pytest.mark.skipif(find_spec("rclpy") is None, reason="ROS 2 (rclpy) is not installed")
    return pytest.mark.ros(pytest.mark.real_time(needs_ros(test)))


class Listening:
    """A running `reactdiff listen` in a process group of its own, and all that it says."""

    def __init__(self, log: Path, *arguments: str, **variables: str) -> None:
        command = with_us([sys.executable, "-m", "reactdiff_ros.cli.main", "listen", *arguments])
        given: Any = {"cwd": ROOT, "env": ENVIRONMENT | variables, "start_new_session": True}
        with log.open("w") as said:
            self.process = subprocess.Popen(command, stdout=said, stderr=said, **given)
        self.log, self.notices = log, list[bytes]()
        self._seen: set[psutil.Process] = set()

    def nodes(self) -> dict[str, psutil.Process]:
        """Running node processes by executable."""
        found = {}
        for child in psutil.Process(self.process.pid).children(recursive=True):
            self._seen.add(child)
            try:
                found.update({Path(word).name: child for word in child.cmdline() if "/lib/reactdiff_ros/" in word})
            except psutil.Error:
                continue
        return found

    def said(self, text: str) -> str:
        """The first match in what it says; "": none."""
        return next(iter(re.findall(text, self.log.read_text())), "")

    def left(self) -> list[psutil.Process]:
        return [p for p in self._seen if p.is_running() and p.status() != psutil.STATUS_ZOMBIE]

    def end(self) -> None:
        self.process.terminate()
        ended(self.process)


@live
def test_a_clip_that_is_played_once_ends_the_command(talk, tmp_path):
    words = ("--once", "--policy", "idle", "--namespace", "once", "--no-avatar")
    run = Listening(tmp_path / "said", "--clip", str(talk), *words)
    try:
        assert run.process.wait(60) == 0, run.log.read_text()
    finally:
        run.end()
    assert run.said("the clip has ended")


@pytest.fixture(scope="module")
def listening(talk, tmp_path_factory):
    """With the settings of a lab, and a service manager whose messages are in `notices`."""
    folder = tmp_path_factory.mktemp("lab")
    (folder / "robots").mkdir()
    (folder / "config.yaml").write_text(LAB)
    (folder / "robots" / "anna.yaml").write_text(ANNA)
    manager = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
    manager.bind(str(folder / "notify"))
    service = {"NOTIFY_SOCKET": str(folder / "notify"), "WATCHDOG_USEC": "900000"}
    words = ("--clip", str(talk), "--style", "sceptical", "--port", "18768")
    run = Listening(folder / "said", *words, REACTDIFF_CONFIG=str(folder / "config.yaml"), **service)
    threading.Thread(target=lambda: run.notices.extend(iter(lambda: manager.recv(200), b"")), daemon=True).start()
    try:
        until(lambda: run.said(URL) or run.process.poll() is not None, "no page")
        until(lambda: len(run.nodes()) == 6, "not all nodes run")
        yield run
    finally:
        run.end()


@live
def test_its_page_answers_it_has_the_settings_of_the_lab_and_tells_its_manager(listening):
    assert live_graph.page_answers(listening.said(URL))
    wanted = {"clip_node", "perception_node", "reaction_node", "expression_node", "speech_node", "avatar_node"}
    # A process that is just being replaced by the node that it starts has no command line.
    until(lambda: set(listening.nodes()) == wanted, "other nodes")
    until(lambda: listening.notices.count(b"WATCHDOG=1") > 1, "no watchdog")
    until(lambda: any(word.startswith(b"READY=1") for word in listening.notices), "not ready")
    asked = subprocess.run([sys.executable, "-c", ASK], env=ENVIRONMENT, capture_output=True, text=True, timeout=90)
    # Fast DDS writes its own messages to stdout.
    assert json.loads(asked.stdout.splitlines()[-1]) == [0.5, 0.25, "sceptical"], asked.stderr


@live
@pytest.mark.parametrize(("name", "harm", "words"), [
    ("reaction_node", psutil.Process.kill, "died (signal SIGKILL)"),
    ("expression_node", psutil.Process.suspend, "was silent for"),
])  # fmt: skip
def test_a_node_that_is_killed_or_hangs_is_replaced(listening, name, harm, words):
    log = live_graph.state_folder() / "logs" / f"listen-{DOMAIN}-supervised" / f"{name}.log"
    until(lambda: "active" in log.read_text(), "not active")
    time.sleep(1.5)  # so that it was heard at least once: who was never heard is waited for longer
    old = listening.nodes()[name]
    harm(old)
    until(lambda: listening.nodes().get(name, old) != old, "not replaced")
    until(lambda: listening.said(re.escape(f"{name} {words}")), "not said")


@live
def test_ctrl_c_ends_it_with_0_within_3_s_and_leaves_nothing(listening):
    listening.nodes()
    began = time.monotonic()
    os.killpg(listening.process.pid, signal.SIGINT)
    assert listening.process.wait(10) == 0
    assert time.monotonic() - began < 4.0
    assert listening.left() == []
    until(lambda: b"STOPPING=1" in listening.notices, "the manager does not know")


def measured(*words: str, codes: tuple[int, ...] = (0,)) -> dict[str, Any]:
    """What `reactdiff bench` says of a real graph of its own."""
    command = [sys.executable, "-m", "reactdiff_ros.cli.main", "bench", *words, "--json"]
    environment = {name: value for name, value in os.environ.items() if name != "ROS_DOMAIN_ID"}
    run = subprocess.run(command, capture_output=True, text=True, timeout=170, cwd=ROOT, env=environment)
    assert run.returncode in codes, run.stderr
    return dict(json.loads(run.stdout))


@live
@pytest.mark.slow
def test_a_face_that_dies_comes_back_and_numbers_that_are_none_are_refused():
    found = measured("faults", "--only", "expression-killed", "--only", "numbers-nan", codes=(0, 1))
    rows = {row["fault"]: row for row in found["faults"]}
    killed, numbers = rows["expression-killed"], rows["numbers-nan"]
    assert killed["normal_after_s"] is not None
    assert any("expression_node died (signal SIGKILL)" in said for said in killed["said"])
    assert numbers["finite"]
    assert any("is not finite" in said for said in numbers["said"])
    assert numbers["longest_gap_s"] < killed["longest_gap_s"], "refused numbers cost no restart"


@live
@pytest.mark.slow
def test_the_live_bench_measures_the_real_graph():
    """The demo speaker's: without a face it would be waited for."""
    result = measured("live", "--policy", "idle", "--no-compute", "--seconds", "3")
    for topic, rate_hz in (("listener/expression", 50.0), ("camera/image_raw/compressed", 25.0), ("audio", 50.0)):
        assert result["rates_hz"][topic] == pytest.approx(rate_hz, rel=0.2)
    assert 0 < result["cpu_cores"] < psutil.cpu_count()
    assert 50 < result["rss_mb"] < 2000
    assert result["seconds"] == pytest.approx(3.0, abs=0.5)
