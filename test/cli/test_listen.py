"""`reactdiff listen`: how its arguments are read, what users are told, and the command on the real graph: the page
answers, nodes come back, nothing is left.
"""

from __future__ import annotations

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
from collections.abc import Callable, Iterator
from contextlib import suppress
from importlib.util import find_spec
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import av
import click
import numpy as np
import psutil
import pytest
import yaml
from deadline import until

from reactdiff_ros.avatar import AvatarConfig, AvatarServer
from reactdiff_ros.avatar.access import LINK_VARIABLE
from reactdiff_ros.avatar.arming import TOKEN_VARIABLE
from reactdiff_ros.cli.bag import _domain_without_listener
from reactdiff_ros.cli.listen import _announce, choose_source, read_assignments
from reactdiff_ros.cli.main import main
from reactdiff_ros.errors import ConfigError, ReactdiffError
from reactdiff_ros.launching import devices, live_graph
from reactdiff_ros.launching.configuration import effective, lab_settings
from reactdiff_ros.launching.live_graph import Claim, LiveGraph, LiveOptions, NodeReport, node_command, wanted_nodes
from reactdiff_ros.launching.table import LONGEST_NAMESPACE, load_table
from reactdiff_ros.recordings.replay.parameters import settings_as_live
from tools.programs import with_us

ROOT = Path(__file__).resolve().parents[2]
_claims: list[socket.socket] = []


def free_domain() -> int:
    """The first that no other run of these tests on this machine uses; clear of the bench's and of test/ros."""
    for domain in range(60, 71):
        _claims.append(socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM))
        with suppress(OSError):
            _claims[-1].bind(f"\0reactdiff_ros-test-cli/{domain}")
            return domain
    raise RuntimeError("eleven runs of these tests at once are enough")


DOMAIN = free_domain()


@pytest.fixture
def installed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A prefix with a fake program for every node: it sleeps."""
    folder = tmp_path / "prefix" / "lib" / "reactdiff_ros"
    folder.mkdir(parents=True)
    for node in load_table().nodes:
        (folder / node.name).write_text("#!/bin/sh\necho face at http://127.0.0.1:1/\nexec sleep 600\n")
        (folder / node.name).chmod(0o755)
    monkeypatch.setenv("AMENT_PREFIX_PATH", f"/nowhere:{tmp_path / 'prefix'}")
    return folder


def test_what_was_given_reaches_the_nodes_that_have_it_and_wins(installed: Path, tmp_path: Path) -> None:
    given: dict[str, Any] = {"arguments": {"camera": "0", "policy": "rules"}, "parameters": {"seed": 7}}

    def started(node: str, **more: Any) -> tuple[tuple[str, ...], list[str], object]:
        """The command, its files of parameters, and what is in the last one, which is the strongest."""
        words = node_command(load_table().node(node), LiveOptions(**given, **more), tmp_path).command
        files = [Path(words[i + 1]) for i, word in enumerate(words) if word == "--params-file"]
        (entry,) = yaml.safe_load(files[-1].read_text()).values() if files[-1].stem == node else [{}]
        return words, [file.name for file in files], entry.get("ros__parameters")

    words, _, parameters = started("camera_node", namespace="/a/b")
    assert words[:4] == (str(installed / "camera_node"), "--ros-args", "-r", "__ns:=/a/b")
    assert parameters == {"device": "0"}  # a text, also where YAML would read a number
    assert started("perception_node")[1] == ["robot.yaml"]
    mine = tmp_path / "mine.yaml"
    mine.write_text("reaction_node: {ros__parameters: {policy: mime}}")
    _, files, parameters = started("reaction_node", params_file=mine)
    assert files == ["robot.yaml", "mine.yaml", "reaction_node.yaml"]
    assert parameters == {"policy": "rules", "seed": 7}


def test_without_a_robot_the_face_is_flat_where_a_page_shows_it() -> None:
    """Else the page would have the gaze of a physical head, which looks over people's heads."""
    for avatar, flat in (("soft", True), ("none", False)):
        given = {"robot": "none", "avatar": avatar}
        assert effective(given, lab_settings(given)).parameters["expression_node"]["flat_face"].value is flat
    assert settings_as_live(robot="none")[0].expression.flat_face, "as in a replay"


def test_wrong_options_are_sentences(tmp_path: Path) -> None:
    for wrong in (
        {"parameters": {"seed": -1}}, {"parameters": {"nonsense": 1}}, {"namespace": "robot1"}, {"namespace": "/9"},
        {"namespace": "/" + "a" * LONGEST_NAMESPACE}, {"params_file": tmp_path},
        {"arguments": {"policy": "clairvoyant"}}, {"arguments": {"robot": "nobody's"}},
    ):  # fmt: skip
        with pytest.raises(ConfigError):
            wanted_nodes(LiveOptions(**wrong))


def test_discovery_stays_on_this_machine_unless_told_otherwise() -> None:
    base = {"ROS_AUTOMATIC_DISCOVERY_RANGE": "SUBNET", "PATH": "/bin"}
    local = live_graph.graph_environment(LiveOptions(), base)
    assert (local["ROS_AUTOMATIC_DISCOVERY_RANGE"], local["PATH"]) == ("LOCALHOST", "/bin")
    assert "ROS_LOCALHOST_ONLY" not in local
    assert live_graph.graph_environment(LiveOptions(lan=True), base)["ROS_AUTOMATIC_DISCOVERY_RANGE"] == "SUBNET"
    humble = {**base, "ROS_DISTRO": "humble"}
    assert live_graph.graph_environment(LiveOptions(), humble)["ROS_LOCALHOST_ONLY"] == "1"
    assert live_graph.graph_environment(LiveOptions(lan=True), humble)["ROS_LOCALHOST_ONLY"] == "0"
    assert live_graph.graph_environment(LiveOptions(domain=5), base)["ROS_DOMAIN_ID"] == "5"


def test_one_listener_in_a_namespace_of_a_domain(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    Claim(232, "/" + "a" * (LONGEST_NAMESPACE - 1)).release()
    claim = Claim(DOMAIN, "/claimed")
    with pytest.raises(ReactdiffError, match=rf"already runs \(process {os.getpid()}\)"):
        Claim(DOMAIN, "/claimed")
    Claim(DOMAIN, "/other").release()
    Claim(DOMAIN + 1, "/claimed").release()
    # A recording beside it is one of a listener that runs.
    for variable in ("XDG_STATE_HOME", "REACTDIFF_HOME_DIR"):
        monkeypatch.setenv(variable, str(tmp_path))
    monkeypatch.setenv("ROS_DOMAIN_ID", str(DOMAIN))
    assert _domain_without_listener("claimed") is None
    claim.release()
    assert _domain_without_listener("claimed") == DOMAIN
    Claim(DOMAIN, "/claimed").release()


@pytest.fixture
def graph(installed: Path, tmp_path: Path) -> Iterator[tuple[LiveGraph, list[str]]]:
    said: list[str] = []
    options = LiveOptions(arguments={"clip": "x.mp4"}, namespace="/said", domain=DOMAIN)
    with LiveGraph(options, said.append, tmp_path / "log") as made:
        made.start(wanted_nodes(options))
        yield made, said


def test_errors_are_said_once_and_their_end_too(graph: tuple[LiveGraph, list[str]]) -> None:
    made, said = graph
    for level, sentence in ((2, "is broken"), (2, "is broken"), (2, "is missing"), (0, "plays"), (1, "no sound")):
        made.hear(NodeReport("clip_node", level, sentence))
    made.hear(NodeReport("somebody_elses_node", 2, "broken"))
    assert said == ["clip_node: is broken", "clip_node works again: plays"]


def test_active_is_when_all_have_said_so(graph: tuple[LiveGraph, list[str]]) -> None:
    made, _ = graph
    names = list(made.supervisor.pids())
    assert not made.active()
    for name in names:
        made.hear(NodeReport(name, 0, "works", {"state": "active"}))
    assert made.active()
    made.hear(NodeReport(names[0], 1, "configured", {"state": "inactive"}))
    assert not made.active()


def test_a_warning_that_lasts_is_said_by_the_first_node_that_has_it(
    graph: tuple[LiveGraph, list[str]], monkeypatch: pytest.MonkeyPatch
) -> None:
    made, said = graph
    now = [100.0]
    monkeypatch.setattr(live_graph.time, "monotonic", lambda: now[0])

    def hear(seconds: int, *warn: str) -> list[str]:
        for _ in range(seconds):
            now[0] += 1.0
            for name in ("clip_node", "perception_node", "reaction_node"):
                made.hear(NodeReport(name, int(name[:4] in warn), "a sentence"))
        return [line.split(":")[0] for line in said]

    assert hear(3, "clip", "perc") == hear(3) == [], "it passes by itself"
    assert hear(20, "clip", "perc", "reac") == ["clip_node"], "once, and not by those that suffer from it"
    assert [*hear(3), *hear(6, "clip")] == ["clip_node"] * 2, "it comes and goes"
    hear(2, "perc")
    assert hear(9) == ["clip_node", "clip_node works again"]
    assert hear(8, "perc")[2] == "perception_node"


def test_assignments_are_read_as_by_the_launch_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    given = read_assignments(("record:=true", "consent:=form 12: yes", "record_to:=study/p07"))
    assert given == {"record": "true", "consent": "form 12: yes", "record_to": str(tmp_path / "study/p07")}
    for word in ("record", "record=true", ":=true", "namespace:=robot1", "params_file:=x.yaml"):
        with pytest.raises(click.UsageError):
            read_assignments((word,))


@pytest.mark.parametrize("variable", [TOKEN_VARIABLE, LINK_VARIABLE])
def test_the_pages_node_is_given_a_token_and_one_that_could_be_guessed_is_refused(
    variable: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Before, `REACTDIFF_PAGE_TOKEN=1` armed the robot."""

    def tokens() -> dict[str, str]:
        with LiveGraph(LiveOptions(namespace="/token_test"), print, tmp_path / "log") as graph:
            assert graph.supervisor.environment[TOKEN_VARIABLE] == graph.page_token
            return {TOKEN_VARIABLE: graph.page_token, LINK_VARIABLE: graph.link_token}

    monkeypatch.delenv(variable, raising=False)
    made = tokens()[variable]
    assert len(made) >= 16
    assert tokens()[variable] != made
    monkeypatch.setenv(variable, "1")
    with pytest.raises(ConfigError, match=f"{variable}.*16 to 128"):
        tokens()
    assert main(["listen", "--namespace", "/token_test"]) == 2, "as for every wrong setting: systemd does not try again"
    assert variable in capsys.readouterr().err
    monkeypatch.setenv(variable, f" {'a1' * 8} ")
    assert tokens()[variable] == "a1" * 8


def test_the_secrets_stay_out_of_this_process(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    graph_watch = pytest.importorskip("reactdiff_ros.nodes.graph_watch", reason="no rclpy")
    monkeypatch.setattr(graph_watch, "GraphWatch", lambda *_: SimpleNamespace(close=lambda: None))
    monkeypatch.delenv(TOKEN_VARIABLE, raising=False)
    monkeypatch.delenv(LINK_VARIABLE, raising=False)
    monkeypatch.setattr(os, "environ", os.environ.copy())
    with LiveGraph(LiveOptions(namespace="/token_test", domain=97), print, tmp_path / "log") as one:
        graph_watch.watch_graph(one)
        assert os.environ["ROS_DOMAIN_ID"] == "97"
        assert not {TOKEN_VARIABLE, LINK_VARIABLE} & set(os.environ)


TOKEN = "a-token_of-22-letters0"


@pytest.mark.parametrize("kind", ["127.0.0.1", "0.0.0.0", "https"])
def test_a_page_of_this_machine_has_an_address_and_one_beyond_it_links(
    kind: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    https, beyond = kind == "https", kind != "127.0.0.1"
    host = "0.0.0.0" if https else kind
    server = AvatarServer(AvatarConfig(port=0, host=host, https=https, state_dir=str(tmp_path)), link_token=TOKEN)

    async def announced(graph: Any) -> None:
        def announce() -> None:
            _announce(graph, as_json=False, nodes={"browser_node"}, pids={})
            _announce(graph, as_json=True, nodes=set(), pids={})

        graph.url, graph.trust = await server.start(), server.trust
        await asyncio.to_thread(announce)
        await server.stop()

    graph = SimpleNamespace(link_token=TOKEN, page_token="abcde-fghjk-mnp23")
    asyncio.run(announced(graph))
    *said, report = capsys.readouterr().out.splitlines()
    out, found = "\n".join(said), json.loads(report)
    assert found["url"] in out
    assert found["url"].startswith("https://" if https else "http://")
    assert found["url"].endswith(f"/?token={TOKEN}") if beyond else found["url"] == graph.url
    assert (TOKEN in out) is ("The operator's token, to end a visit" in out) is beyond
    assert ("SHA-256" in out) is ("trust" in found) is https


def test_the_source_is_what_was_asked_for(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    heard = devices.Microphones("built-in", ("built-in",))
    question = SimpleNamespace(answer=lambda: heard, drop=lambda: None)
    monkeypatch.setattr(devices, "MicrophoneQuestion", lambda: question)
    found = [devices.Camera(0, "locked", "no permission"), devices.Camera(2, "Webcam")]
    monkeypatch.setattr(devices, "cameras", lambda: found)
    webcam_and_sound = {"camera": "2", "microphone": "default"}
    assert choose_source(None, None, None) == (webcam_and_sound, "camera Webcam, built-in")
    assert choose_source("0", "none", None) == ({"camera": "0", "microphone": "none"}, "camera 0, no microphone")
    assert choose_source("none", "default", None)[0] == {"camera": "none", "microphone": "default"}
    heard = devices.Microphones(None, problem="it hangs")
    assert choose_source("1", None, None)[1] == "camera 1, no microphone (it hangs)"
    clip = tmp_path / "x.mp4"
    assert choose_source(None, None, clip)[0] == {"clip": str(clip)}


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
URL = re.compile(r"http://127\.0\.0\.1:\d+/")


def live(test: Callable[..., None]) -> Callable[..., None]:
    """The test needs ROS, and a machine that keeps up with time."""
    needs_ros = pytest.mark.skipif(find_spec("rclpy") is None, reason="ROS 2 (rclpy) is not installed")
    return pytest.mark.ros(pytest.mark.real_time(needs_ros(test)))


@pytest.fixture(scope="module")
def noise(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two seconds of grey noise without a face and without sound."""
    path = tmp_path_factory.mktemp("clip") / "noise.mp4"
    pixels = np.random.default_rng(1).integers(90, 160, (240, 320, 3), dtype=np.uint8)
    with av.open(str(path), "w") as file:
        stream = file.add_stream("mpeg4", rate=25)
        stream.width, stream.height = 320, 240
        for i in range(50):
            file.mux(stream.encode(av.VideoFrame.from_ndarray(np.roll(pixels, i, axis=1), format="rgb24")))
        file.mux(stream.encode())
    return path


class Listening:
    """A running `reactdiff listen` in a process group of its own, and all that it says."""

    def __init__(self, *arguments: str, **variables: str) -> None:
        command = [sys.executable, "-m", "reactdiff_ros.cli.main", "listen", *arguments]
        self.lines: list[str] = []
        self.told: list[bytes] = []
        self.process = subprocess.Popen(
            with_us(command), stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, cwd=ROOT,
            env={**ENVIRONMENT, **variables}, start_new_session=True,
        )  # fmt: skip
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()
        self._seen: set[psutil.Process] = set()

    def _read(self) -> None:
        self.lines.extend(iter(self.process.stdout.readline, ""))

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

    def said(self, text: str) -> bool:
        return any(text in line for line in self.lines)

    def url(self) -> str:
        return next((m.group() for line in self.lines if (m := URL.search(line))), "")

    def left(self) -> list[psutil.Process]:
        return [p for p in self._seen if p.is_running() and p.status() != psutil.STATUS_ZOMBIE]

    def end(self) -> None:
        if self.process.poll() is None:
            self.process.terminate()
            try:
                self.process.wait(10)
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.process.wait()
        self._reader.join(5)


@live
def test_a_clip_that_is_played_once_ends_the_command(noise: Path) -> None:
    run = Listening("--clip", str(noise), "--once", "--policy", "idle", "--namespace", "once", "--no-avatar")
    try:
        assert run.process.wait(60) == 0, run.lines
        assert run.said("the clip has ended")
    finally:
        run.end()
    assert run.left() == []


@pytest.fixture(scope="module")
def listening(noise: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Listening]:
    """With the settings of a lab, and a service manager whose messages are in `told`."""
    folder = tmp_path_factory.mktemp("lab")
    (folder / "robots").mkdir()
    (folder / "config.yaml").write_text(LAB)
    (folder / "robots" / "anna.yaml").write_text(ANNA)
    manager = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
    manager.bind(str(folder / "notify"))
    service = {"NOTIFY_SOCKET": str(folder / "notify"), "WATCHDOG_USEC": "900000"}
    words = ("--clip", str(noise), "--style", "sceptical", "--port", "18768")
    run = Listening(*words, REACTDIFF_CONFIG=str(folder / "config.yaml"), **service)
    threading.Thread(target=lambda: run.told.extend(iter(lambda: manager.recv(200), b"")), daemon=True).start()
    try:
        until(lambda: run.url() or run.process.poll() is not None, "no page")
        until(lambda: len(run.nodes()) == 6, f"not all nodes run: {run.lines}")
        yield run
    finally:
        run.end()


@live
def test_its_page_answers_it_has_the_settings_of_the_lab_and_tells_its_manager(listening: Listening) -> None:
    assert live_graph.page_answers(listening.url()), listening.lines
    wanted = {"clip_node", "perception_node", "reaction_node", "expression_node", "speech_node", "avatar_node"}
    # A process that is just being replaced by the node that it starts has no command line.
    until(lambda: set(listening.nodes()) == wanted, f"{listening.nodes()}: {listening.lines}")
    until(lambda: listening.told.count(b"WATCHDOG=1") > 1, "no watchdog")
    until(lambda: any(word.startswith(b"READY=1") for word in listening.told), "not ready")
    asked = subprocess.run([sys.executable, "-c", ASK], env=ENVIRONMENT, capture_output=True, text=True, timeout=90)
    # Fast DDS writes its own messages to stdout.
    assert json.loads(asked.stdout.splitlines()[-1]) == [0.5, 0.25, "sceptical"], asked.stderr


@live
@pytest.mark.parametrize("name", ["reaction_node", "expression_node"])
def test_a_node_that_is_killed_or_hangs_is_replaced(listening: Listening, name: str) -> None:
    log = live_graph.state_folder() / "logs" / f"listen-{DOMAIN}-supervised" / f"{name}.log"
    until(lambda: "active" in log.read_text(), "not active")
    time.sleep(1.5)  # so that it was heard at least once: who was never heard is waited for longer
    old = listening.nodes()[name]
    if name == "reaction_node":
        old.kill()
        words = "reaction_node died (signal SIGKILL)"
    else:
        old.suspend()
        words = "expression_node was silent for"
    until(lambda: listening.nodes().get(name, old) != old, "not replaced")
    until(lambda: listening.said(words), f"not said: {listening.lines}")


@live
def test_ctrl_c_ends_it_with_0_within_3_s_and_leaves_nothing(listening: Listening) -> None:
    listening.nodes()
    began = time.monotonic()
    os.killpg(listening.process.pid, signal.SIGINT)
    assert listening.process.wait(10) == 0
    assert time.monotonic() - began < 4.0
    assert listening.left() == []
    until(lambda: b"STOPPING=1" in listening.told, "the manager was not told")


@live
@pytest.mark.slow
def test_the_live_bench_measures_the_real_graph() -> None:
    """The demo speaker's: without a face it would be waited for."""
    words = ["bench", "live", "--policy", "idle", "--no-compute", "--json", "--seconds", "3"]
    command = [sys.executable, "-m", "reactdiff_ros.cli.main", *words]
    run = subprocess.run(command, capture_output=True, text=True, timeout=170, check=False, cwd=ROOT)
    assert run.returncode == 0, run.stderr
    result = json.loads(run.stdout)
    assert result["rates_hz"]["listener/expression"] == pytest.approx(50.0, abs=10.0)
    assert result["rates_hz"]["camera/image_raw/compressed"] == pytest.approx(25.0, abs=5.0)
    assert result["rates_hz"]["audio"] == pytest.approx(50.0, abs=10.0)
    assert 0 < result["cpu_cores"] < psutil.cpu_count()
    assert 50 < result["rss_mb"] < 2000
    assert result["seconds"] == pytest.approx(3.0, abs=0.5)
