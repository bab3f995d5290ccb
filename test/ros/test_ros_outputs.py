"""output_node: one expression topic in; datagrams, a websocket and a topic out, each read by a reader of its own."""

import contextlib
import json
import socket
import threading
import time
from functools import partial

import numpy as np
import pytest
import websocket
from faces_shown import show_each
from network_robots import free_port
from pythonosc.osc_packet import OscPacket

from reactdiff_ros.coefficients import BLENDSHAPE_NAMES, NAMES
from reactdiff_ros.messages import from_stamp

pytestmark = [pytest.mark.ros, pytest.mark.real_time]

EXPRESSION, BLENDSHAPES = "listener/expression", "listener/blendshapes"
SMILE = NAMES.index("mouthSmileLeft")


def reading(read):
    """What comes, with its time: it is read all the time, for the kernel keeps few datagrams."""
    found = []

    def run():
        with contextlib.suppress(websocket.WebSocketException, OSError):
            while content := read():
                found.append((time.monotonic(), content))

    threading.Thread(target=run, daemon=True).start()
    return found


def face(number):
    """A smile that grows by a hundredth a frame, so that every frame can be told."""
    values = np.zeros(58, np.float32)
    values[SMILE] = (number % 100) / 100
    values[53] = 0.1
    return values


def vmc_smile(packet):
    messages = [m.message for m in OscPacket(packet).messages]
    shapes = dict(m.params for m in messages if m.address == "/VMC/Ext/Blend/Val")
    assert tuple(shapes) == BLENDSHAPE_NAMES
    (bone,) = (m.params for m in messages if m.address == "/VMC/Ext/Bone/Pos")
    return round(shapes["mouthSmileLeft"], 2), bone[5]


def arkit_smile(text):
    said = json.loads(text)
    return round(said["blendshapes"]["mouthSmileLeft"], 2), said["head"]["yaw"]


def topic_smile(message):
    assert tuple(message.names) == NAMES
    return round(float(message.values[SMILE]), 2), message.values[53]


def test_outputs_have_faces_at_50_hz_and_neutral_when_the_listener_goes(graph):
    vmc, port = socket.socket(socket.AF_INET, socket.SOCK_DGRAM), free_port()
    vmc.bind(("127.0.0.1", 0))
    vmc.settimeout(20.0)
    graph.start("output_node", outputs=f"vmc@127.0.0.1:{vmc.getsockname()[1]},arkit@127.0.0.1:{port},topic")
    graph.listen(BLENDSHAPES)
    graph.wait_active("output_node")
    graph.connect(EXPRESSION)
    arkit = websocket.create_connection(f"ws://127.0.0.1:{port}/", timeout=20)
    packets, texts, messages = reading(partial(vmc.recv, 65536)), reading(arkit.recv), graph.received[BLENDSHAPES]
    graph.until(lambda: messages, 20.0, "neutral before the first frame")
    for found in (packets, texts, messages):
        found.clear()
    spoken = show_each(graph, partial(graph.publish, EXPRESSION), 2.0, face)
    graph.spin(1.5)  # and silence
    for found in (packets, texts):
        assert np.median(np.diff([time_s for time_s, _ in found[:100]])) == pytest.approx(0.02, abs=0.004)

    sent = {round(float(face(n)[SMILE]), 2) for n in range(1, 100)}
    for name, pairs in {
        "vmc": [vmc_smile(packet) for _, packet in packets], "arkit": [arkit_smile(text) for _, text in texts],
        "topic": [topic_smile(message) for message in messages],
    }.items():  # fmt: skip
        turned = max(abs(yaw) for _, yaw in pairs)  # a fade turns the head back as well
        growing = [smile for smile, yaw in pairs if smile and abs(yaw) > turned - 1e-6]
        assert set(growing) <= sent, name
        assert len(set(growing)) >= 75, f"{name}: 99, but a very busy machine drops the oldest"
        assert growing == sorted(growing), name
        assert pairs[-1] == (0.0, pytest.approx(0.0, abs=1e-6)), name
    # Stamps are passed through: as often as the faces came, which is 50 Hz where the machine has time.
    passed = [stamp for m in messages if (stamp := from_stamp(m.header.stamp)) in set(spoken)]
    assert len(passed) >= 75
    assert passed == sorted(passed)
    graph.until(lambda: "nothing comes on listener/expression" in graph.sentence("output_node"), 10.0, "the sentence")


def test_port_that_is_taken_is_said_and_found_later(graph):
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        node = graph.start("output_node", outputs=f"arkit@127.0.0.1:{taken.getsockname()[1]}")
        graph.wait_active("output_node")
        graph.until(lambda: "port is in use" in graph.sentence("output_node"), 20.0, "the port is said")
    graph.until(lambda: "solved: the output" in node.log, 20.0, "that is said to be solved")
