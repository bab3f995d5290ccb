"""`reactdiff listen` and the live bench on the real graph: the page answers, nodes come back, nothing is left."""

from __future__ import annotations

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
from pathlib import Path
from typing import Any

import numpy as np
import psutil
import pytest
from cli_domain import free_domain
from deadline import until

from reactdiff_ros.cli.listen import choose_source
from reactdiff_ros.launching.live_graph import page_answers, state_folder
from tools.chromium import find_chromium
from tools.programs import with_us

ROOT = Path(__file__).resolve().parents[2]
DOMAIN = str(free_domain())
ENVIRONMENT = {**os.environ, "ROS_DOMAIN_ID": DOMAIN, "ROS_AUTOMATIC_DISCOVERY_RANGE": "LOCALHOST"}
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
    return pytest.mark.ros(pytest.mark.real_time(test))


@pytest.fixture(scope="module")
def noise(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two seconds of grey noise without a face and without sound."""
    import av

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
        environment = {**ENVIRONMENT, **variables}
        command = [sys.executable, "-m", "reactdiff_ros.cli.main", "listen", *arguments]
        self.lines: list[str] = []
        self.told: list[bytes] = []
        self.process = subprocess.Popen(
            with_us(command), stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, env=environment, cwd=ROOT,
            start_new_session=True,
        )  # fmt: skip
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()
        self._seen: set[psutil.Process] = set()

    def _read(self) -> None:
        assert self.process.stdout is not None
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

    def url(self) -> str | None:
        return next((m.group() for line in self.lines if (m := URL.search(line))), None)

    def interrupt(self) -> int:
        self.nodes()
        os.killpg(self.process.pid, signal.SIGINT)
        return self.process.wait(10)

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
def test_the_address_is_said_when_the_page_answers(listening: Listening) -> None:
    url = listening.url()
    assert url is not None, listening.lines
    assert page_answers(url)
    wanted = {"clip_node", "perception_node", "reaction_node", "expression_node", "speech_node", "avatar_node"}
    # A process that is just being replaced by the node that it starts has no command line.
    until(lambda: set(listening.nodes()) == wanted, f"{listening.nodes()}: {listening.lines}")


@live
def test_it_has_the_settings_of_the_lab_and_tells_its_manager(listening: Listening) -> None:
    until(lambda: listening.told.count(b"WATCHDOG=1") > 1, "no watchdog")
    until(lambda: any(word.startswith(b"READY=1") for word in listening.told), "not ready")
    asked = subprocess.run([sys.executable, "-c", ASK], env=ENVIRONMENT, capture_output=True, text=True, timeout=90)
    # Fast DDS writes its own messages to stdout.
    assert json.loads(asked.stdout.splitlines()[-1]) == [0.5, 0.25, "sceptical"], asked.stderr


@live
def test_a_second_listener_of_the_namespace_is_told_so(listening: Listening, noise: Path) -> None:
    second = Listening("--clip", str(noise), "--namespace", "supervised")
    assert second.process.wait(60) == 1
    second.end()
    assert len(second.lines) == 1, second.lines
    assert "a listener already runs" in second.lines[0]
    assert f"process {listening.process.pid}" in second.lines[0]
    assert page_answers(listening.url() or "")


@live
def test_a_node_that_is_killed_comes_back(listening: Listening) -> None:
    old = listening.nodes()["reaction_node"]
    old.kill()
    until(lambda: listening.nodes().get("reaction_node", old) != old, "not started again")
    until(lambda: listening.said("reaction_node died (signal SIGKILL)"), f"not said: {listening.lines}")


@live
def test_a_node_that_hangs_is_replaced(listening: Listening) -> None:
    log = state_folder() / "logs" / f"listen-{DOMAIN}-supervised" / "expression_node.log"
    until(lambda: "active" in log.read_text(), "not active")
    time.sleep(1.5)  # so that it was heard at least once: who was never heard is waited for longer
    old = listening.nodes()["expression_node"]
    old.suspend()
    until(lambda: listening.nodes().get("expression_node", old) != old, "not replaced", 25.0)
    assert listening.said("expression_node was silent for"), listening.lines


@live
def test_ctrl_c_ends_it_with_0_within_3_s_and_leaves_nothing(listening: Listening) -> None:
    began = time.monotonic()
    assert listening.interrupt() == 0
    assert time.monotonic() - began < 4.0
    assert listening.left() == []
    until(lambda: b"STOPPING=1" in listening.told, "the manager was not told")


def live_bench(*arguments: str) -> dict[str, Any]:
    words = ["bench", "live", "--policy", "idle", "--no-compute", "--json", *arguments]
    command = [sys.executable, "-m", "reactdiff_ros.cli.main", *words]
    run = subprocess.run(command, capture_output=True, text=True, timeout=170, check=False, cwd=ROOT)
    assert run.returncode == 0, run.stderr
    return dict(json.loads(run.stdout))


@live
@pytest.mark.slow
def test_the_live_bench_measures_the_real_graph() -> None:
    """The demo speaker's: without a face it would be waited for."""
    result = live_bench("--seconds", "3")
    assert result["rates_hz"]["listener/expression"] == pytest.approx(50.0, abs=10.0)
    assert result["rates_hz"]["camera/image_raw/compressed"] == pytest.approx(25.0, abs=5.0)
    assert result["rates_hz"]["audio"] == pytest.approx(50.0, abs=10.0)
    assert 0 < result["cpu_cores"] < psutil.cpu_count()
    assert 50 < result["rss_mb"] < 2000
    assert result["seconds"] == pytest.approx(3.0, abs=0.5)


@pytest.mark.slow
@pytest.mark.browser
@pytest.mark.skipif(find_chromium() is None, reason="no Chromium is installed")
def test_the_live_bench_has_a_visitor_in_a_browser() -> None:
    result = live_bench("--seconds", "5", "--camera", "browser")
    visitor = result["visitor"]
    assert visitor["sent"] > 25
    assert visitor["sounds"] == pytest.approx(250, abs=40)
    assert visitor["face_ms"]["n"] > 10
    assert 0 < result["stages_ms"]["capture"]["p50"] < visitor["face_ms"]["p50"] < 2000
    assert result["rates_hz"]["camera/image_raw/compressed"] > 5
    assert 0 < result["cores"]["browser_node"] < result["cpu_cores"] < psutil.cpu_count()


def test_the_source_is_what_was_asked_for(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from reactdiff_ros.launching import devices

    webcam, locked = devices.Camera(2, "Webcam"), devices.Camera(0, "locked", "no permission")
    heard: list[devices.Microphones] = []

    class Question:
        def answer(self, timeout_s: float = 0.0) -> devices.Microphones:
            return heard[0]

        def drop(self) -> None:
            pass

    monkeypatch.setattr(devices, "MicrophoneQuestion", Question)
    monkeypatch.setattr(devices, "cameras", lambda: [locked, webcam])
    heard[:] = [devices.Microphones("built-in", ("built-in",))]
    webcam_and_sound = {"camera": "2", "microphone": "default"}
    assert choose_source(None, None, None) == (webcam_and_sound, "camera Webcam, built-in")
    assert choose_source("0", "none", None) == ({"camera": "0", "microphone": "none"}, "camera 0, no microphone")
    assert choose_source("none", "default", None)[0] == {"camera": "none", "microphone": "default"}
    heard[:] = [devices.Microphones(None, problem="it hangs")]
    assert choose_source("1", None, None)[1] == "camera 1, no microphone (it hangs)"
    clip = tmp_path / "x.mp4"
    assert choose_source(None, None, clip)[0] == {"clip": str(clip)}
