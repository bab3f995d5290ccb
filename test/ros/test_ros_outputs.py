"""output_node: one expression topic in, four kinds of receivers, each with a reader of its own, at 50 Hz."""

from __future__ import annotations

import contextlib
import json
import socket
import struct
import threading
import time
from functools import partial

import numpy as np
import pytest
from network_robots import free_port
from pythonosc.osc_packet import OscPacket

pytest.importorskip("reactdiff_ros.msg", reason="the package is not built: 'make setup'")

from faces_shown import show_each

from reactdiff_ros.coefficients import BLENDSHAPE_NAMES, NAMES
from reactdiff_ros.messages import from_stamp

websocket = pytest.importorskip("websocket")
pytestmark = [pytest.mark.ros, pytest.mark.real_time]

EXPRESSION, BLENDSHAPES = "listener/expression", "listener/blendshapes"
SMILE = NAMES.index("mouthSmileLeft")


class Datagrams(threading.Thread):
    """A UDP receiver that reads all the time: the kernel keeps few datagrams for it."""

    def __init__(self, port=0):
        super().__init__(daemon=True)
        self._socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self._socket.bind(("127.0.0.1", port))
        self._socket.settimeout(0.1)
        self.port = self._socket.getsockname()[1]
        self.found: list[bytes] = []
        self.times: list[float] = []
        self._ended = threading.Event()
        self.start()

    def run(self):
        while not self._ended.is_set():
            with contextlib.suppress(TimeoutError):
                self.found.append(self._socket.recv(65536))
                self.times.append(time.monotonic())

    def end(self):
        self._ended.set()
        self.join(10.0)
        self._socket.close()
        return list(self.found)


def face(number):
    """A smile that grows by a hundredth a frame, so that every frame can be told."""
    values = np.zeros(58, np.float32)
    values[SMILE] = (number % 100) / 100
    values[53] = 0.1
    return values


def speak(graph, seconds):
    return show_each(graph, partial(graph.publish, EXPRESSION), seconds, face)


class Reader(threading.Thread):
    """A plain websocket client that reads all the time."""

    def __init__(self, url):
        super().__init__(daemon=True)
        self._client = websocket.create_connection(url, timeout=20)
        self._texts = []
        self.times: list[float] = []
        self.start()

    def run(self):
        with contextlib.suppress(websocket.WebSocketException, OSError):
            while True:
                self._texts.append(json.loads(self._client.recv()))
                self.times.append(time.monotonic())

    def clear(self):
        self._texts.clear()
        self.times.clear()

    def end(self):
        texts = list(self._texts)
        self._client.shutdown()
        self.join(10.0)
        return texts


def live_link_smile(packet):
    values = struct.unpack(">61f", packet[-244:])
    return round(values[23], 2), values[52]


def vmc_smile(packet):
    messages = [m.message for m in OscPacket(packet).messages]
    shapes = dict(m.params for m in messages if m.address == "/VMC/Ext/Blend/Val")
    assert tuple(shapes) == BLENDSHAPE_NAMES
    (bone,) = (m.params for m in messages if m.address == "/VMC/Ext/Bone/Pos")
    return round(shapes["mouthSmileLeft"], 2), bone[5]


def test_four_outputs_at_50_hz_and_neutral_when_the_listener_goes(graph):
    vmc, link, port = Datagrams(), Datagrams(), free_port()
    outputs = f"vmc@127.0.0.1:{vmc.port},live_link@127.0.0.1:{link.port},arkit@127.0.0.1:{port},topic"
    graph.start("output_node", outputs=outputs)
    graph.listen(BLENDSHAPES)
    graph.wait_active("output_node")
    graph.connect(EXPRESSION)
    reader = Reader(f"ws://127.0.0.1:{port}/")
    graph.until(lambda: graph.received[BLENDSHAPES], 20.0, "neutral before the first frame")
    vmc.found.clear(), link.found.clear(), vmc.times.clear(), link.times.clear()
    reader.clear()
    graph.received[BLENDSHAPES].clear()

    spoken = speak(graph, 2.0)
    graph.spin(1.5)  # and silence
    packets = {"vmc": [vmc_smile(p) for p in vmc.end()], "live_link": [live_link_smile(p) for p in link.end()]}
    texts = reader.end()
    packets["arkit"] = [(round(t["blendshapes"]["mouthSmileLeft"], 2), t["head"]["yaw"]) for t in texts]
    messages = graph.received[BLENDSHAPES]
    assert {tuple(m.names) for m in messages} == {NAMES}
    packets["topic"] = [(round(float(m.values[SMILE]), 2), m.values[53]) for m in messages]

    sent = [round(float(face(n)[SMILE]), 2) for n in range(1, 100)]
    for name, got in packets.items():
        smiles = [smile for smile, _ in got]
        turned = max(abs(yaw) for _, yaw in got)  # a fade turns the head back as well
        growing = [smile for smile, yaw in got if smile and abs(yaw) > turned - 1e-6]
        # 99, but a very busy machine drops the oldest. In order.
        assert set(growing) <= set(sent), name
        assert len(set(growing)) >= 75, name
        assert growing == sorted(growing), name
        assert smiles[-1] == 0.0, name
        assert abs(got[-1][1]) < 1e-6, name
    for name, times in (("vmc", vmc.times), ("live_link", link.times), ("arkit", reader.times)):
        assert np.median(np.diff(times[:100])) == pytest.approx(0.02, abs=0.004), name
    stamps = [from_stamp(m.header.stamp) for m in messages]
    # Stamps are passed through: as often as the faces came, which is 50 Hz where the machine has time.
    passed = [stamp for stamp in stamps if stamp in set(spoken)]
    assert len(passed) >= 75
    assert passed == sorted(passed)
    graph.until(lambda: "nothing comes on listener/expression" in graph.sentence("output_node"), 10.0, "the sentence")


def test_receiver_that_is_not_there_and_port_that_is_taken_are_said_and_found_later(graph):
    nobody = Datagrams()
    nobody.end()
    gone = nobody.port
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        node = graph.start("output_node", outputs=f"live_link@127.0.0.1:{gone},arkit@127.0.0.1:{port}")
        graph.wait_active("output_node")
        graph.until(lambda: "port is in use" in graph.sentence("output_node"), 20.0, "the port is said")
    speak(graph, 0.5)
    graph.until(lambda: "no receiver is listening" in node.log, 20.0, "the receiver is said")
    late = Datagrams(gone)
    graph.until(lambda: late.found, 20.0, "neutral faces")
    graph.until(lambda: node.log.count("solved: the output") == 2, 20.0, "both are said to be solved")
    assert late.end()
