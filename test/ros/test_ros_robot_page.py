"""The face's page and actuator_node, both in processes of their own: the token, arming, and the stop."""

from __future__ import annotations

import re
import signal
from concurrent.futures import ThreadPoolExecutor

import pytest
from actuator_graph import NODE, STATE, Bench
from rcl_interfaces.msg import Log
from ros_harness import ask

pytestmark = pytest.mark.ros


class Page:
    """What a browser would send."""

    def __init__(self, bench):
        self.bench = bench
        self.node = bench.graph.start("avatar_node", port=20765)
        bench.graph.wait_active("avatar_node")
        self.url = bench.graph.page(self.node)
        self.token = bench.graph.until(lambda: re.search(r"into its panel: (\S+)", self.node.log), what="a token")[1]

    def ask(self, path, body=None, **headers):
        """Status and JSON of the answer; the robot's faces come meanwhile."""
        with ThreadPoolExecutor(1) as hands:
            answer = hands.submit(ask, self.url, path, body, **headers)
            while not answer.done():
                self.bench.show(0.1, jawOpen=0.0)
        return answer.result()

    def command(self, what, **body):
        return self.ask(f"api/robot/{what}", body)

    def shows(self, **wanted):
        """Wait until the page shows this of the actuator: it may hear of it later than the test."""
        asked = lambda: self.ask("api/status")[1]["graph"].get("actuator") or {}  # noqa: E731
        self.bench.graph.until(lambda: wanted.items() <= asked().items(), 20.0, f"the page shows {wanted}")


@pytest.fixture(scope="module")
def bench(tmp_path_factory):
    with Bench(tmp_path_factory.mktemp("page")) as bench:
        yield bench


@pytest.fixture(scope="module")
def page(bench):
    rosout = []
    bench.graph.node.create_subscription(Log, "/rosout", lambda message: rosout.append(message.msg), 100)
    page = Page(bench)
    yield page
    assert "Traceback" not in page.node.log
    assert not [line for line in rosout if page.token in line], "the log goes over the network and into recordings"


def test_the_page_arms_with_the_token_alone(bench, page):
    bench.until("disarmed")
    bench.graph.until(lambda: not bench.said.obstacles, what="no obstacles")
    page.shows(robot="head", state="disarmed", armed=False)
    for body in ({}, {"token": "wrong"}):
        status, answer = page.command("arm", **body)
        assert status == 403
        assert "the terminal prints" in answer["message"]
    status, sentence = page.ask("api/robot/arm", {"token": page.token}, Origin="http://evil.example")
    assert status == 403
    assert "another site" in sentence
    assert page.ask("api/robot/arm", {"token": page.token}, Host="evil.example")[0] == 403
    bench.show(0.3, jawOpen=0.0)
    assert not bench.said.armed
    assert not any(bench.said.torque)
    status, answer = page.command("arm", token=page.token)
    assert (status, answer["done"]) == (200, True), answer
    bench.until("following")
    page.shows(armed=True)
    status, answer = page.command("disarm", token=page.token)
    assert status == 200, answer
    bench.until("disarmed")


def test_the_page_stops_without_a_token(bench, page):
    bench.enable()
    status, answer = page.command("stop")
    assert (status, answer["done"]) == (200, True), answer
    assert bench.said.software_stop
    bench.until("stopped")
    page.shows(software_stop=True)
    status, answer = page.command("arm", token=page.token)
    assert status == 409, "a stop is latched"
    assert answer["message"]
    status, answer = page.command("reset", token=page.token)
    assert status == 200, answer
    bench.until("disarmed")


def test_a_dead_actuator_does_not_confirm_a_stop(bench, page):
    assert page.node.process.poll() is None
    bench.node.stop(signal.SIGKILL)
    page.shows(silent=True)
    status, answer = page.command("stop")
    assert status == 503
    assert "NOT confirmed" in answer["message"]
    assert NODE in answer["message"] or "answer" in answer["message"]
    bench.graph.received[STATE].clear()
    bench.start()
    bench.until("disarmed")
    page.shows(silent=False)
    assert page.command("stop")[0] == 200
