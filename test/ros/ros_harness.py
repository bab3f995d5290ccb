"""Real nodes in real processes for tests: started, heard over DDS, stopped, and never left behind."""

from __future__ import annotations

import json
import os
import re
import signal
import socket
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
from collections import defaultdict
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
from deadline import ended

from tools.programs import with_us

LOCAL = {"ROS_LOCALHOST_ONLY": "1"} if os.environ.get("ROS_DISTRO") == "humble" else {}
LOCAL["ROS_AUTOMATIC_DISCOVERY_RANGE"] = "LOCALHOST"
os.environ.update(LOCAL)
rclpy = pytest.importorskip("rclpy", reason="ROS 2 is not on the path: '. ./env.sh'")
pytest.importorskip("reactdiff_ros.msg", reason="the package is not built: 'make setup'")

from diagnostic_msgs.msg import DiagnosticArray  # noqa: E402
from lifecycle_msgs.msg import Transition  # noqa: E402
from rclpy.executors import SingleThreadedExecutor  # noqa: E402
from rclpy.parameter import Parameter  # noqa: E402
from rclpy.signals import SignalHandlerOptions  # noqa: E402

from reactdiff_ros.launching.process import use_profile  # noqa: E402
from reactdiff_ros.launching.table import load_table  # noqa: E402
from reactdiff_ros.nodes.base import interface, qos_profile  # noqa: E402

ROOT = Path(__file__).resolve().parents[2]
DOMAINS = range(20, 60)
"""Clear of those of `reactdiff bench live`, which may run beside."""
START_S = 40.0
"""How long a node may take to start on a loaded machine."""

use_profile()  # as the nodes, and before the first participant: Fast DDS reads it once in a process


class NodeProcess:
    """One node's process; its output is in `log`."""

    def __init__(self, name: str, environment: dict[str, str], folder: Path, *arguments: str) -> None:
        self.name = name
        output, path = tempfile.mkstemp(prefix=f"{name}-", suffix=".log", dir=folder)
        self._path = Path(path)
        self.process = subprocess.Popen(
            with_us([executable(name), *arguments]), env=environment, cwd=folder, start_new_session=True,
            stdin=subprocess.DEVNULL, stdout=output, stderr=subprocess.STDOUT,
        )  # fmt: skip
        os.close(output)

    @property
    def log(self) -> str:
        """What it has written so far."""
        return self._path.read_text(errors="replace")

    def stop(self, number: int = signal.SIGTERM, timeout_s: float = 10.0) -> int:
        """Signal, wait, kill if need be; the exit status."""
        self.process.send_signal(number)
        return self.ended(timeout_s)

    def ended(self, timeout_s: float = START_S) -> int:
        """Wait for its own end; killed after the timeout. The exit status."""
        return ended(self.process, timeout_s)


class RosGraph:
    """Some nodes on a ROS domain of their own, and a node of the test that hears and speaks to them.

    As a context: at the end all nodes end cleanly, except those that the test killed.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.domain, self._claim = free_domain()
        self.environment = os.environ | {
            "ROS_DOMAIN_ID": str(self.domain), "ROS_LOG_DIR": str(folder), "PYTHONUNBUFFERED": "1",
            "PYTHONFAULTHANDLER": "1",  # a node that crashes says where
        }  # fmt: skip
        self.processes: list[NodeProcess] = []
        self.received: dict[str, list[Any]] = defaultdict(list)
        self._context, no_handler = rclpy.Context(), SignalHandlerOptions.NO
        rclpy.init(args=[], context=self._context, domain_id=self.domain, signal_handler_options=no_handler)
        self.node = rclpy.create_node("tester", context=self._context, use_global_arguments=False)
        self.executor = SingleThreadedExecutor(context=self._context)
        self.executor.add_node(self.node)
        self._publishers: dict[str, Any] = {}
        self._clients: dict[str, Any] = {}
        self.diagnostics: dict[str, Any] = {}
        told = lambda message: self.diagnostics.update((status.name, status) for status in message.status)  # noqa: E731
        self.node.create_subscription(DiagnosticArray, "/diagnostics", told, 50)

    def __enter__(self) -> RosGraph:
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        killed = [p for p in self.processes if p.process.returncode == -signal.SIGKILL]
        codes = dict(zip(self.processes, self.close(), strict=True))
        if kind is None:
            assert {p.name: code for p, code in codes.items() if code and p not in killed} == {}
            assert not [p.name for p in self.processes if "Traceback" in p.log]

    def start(self, name: str, *arguments: str, **parameters: object) -> NodeProcess:
        """Start a node with these parameters."""
        texts = {n: str(v).lower() if isinstance(v, bool) else str(v) for n, v in parameters.items()}
        given = [word for name_, text in texts.items() for word in ("-p", f"{name_}:={text}")]
        process = NodeProcess(name, self.environment, self.folder, "--ros-args", *given, *arguments)
        self.processes.append(process)
        return process

    def listen(self, *topics: str) -> None:
        """Keep every message of these topics of the table in `received`, with the steady time of its receipt."""
        for topic in topics:
            kind, qos = _spec(topic)
            qos.depth = max(qos.depth, 10)  # of several publishers, where the table has one value each
            self.node.create_subscription(kind, topic, lambda m, t=topic: self.received[t].append(m), qos)

    def clear(self, *topics: str) -> None:
        """Forget what was received, on these topics or on all."""
        for topic in topics or self.received:
            self.received[topic].clear()

    def publish(self, topic: str, message: Any) -> None:
        """Publish on a topic of the table."""
        self.publisher(topic).publish(message)

    def publisher(self, topic: str) -> Any:
        """The publisher of a topic of the table."""
        if topic not in self._publishers:
            kind, qos = _spec(topic)
            self._publishers[topic] = self.node.create_publisher(kind, topic, qos)
        return self._publishers[topic]

    def connect(self, topic: str, timeout_s: float = START_S) -> None:
        """Wait until somebody listens to what the test publishes on a topic."""
        publisher = self.publisher(topic)
        self.until(lambda: publisher.get_subscription_count() > 0, timeout_s, f"nobody listens to {topic}")

    def spin(self, seconds: float) -> None:
        """Handle what arrives for this long."""
        end = time.monotonic() + seconds
        while (left := end - time.monotonic()) > 0:
            self.executor.spin_once(timeout_sec=left)

    def until(self, condition: Callable[[], Any], timeout_s: float = 20.0, what: str = "") -> Any:
        """Handle what arrives until the condition holds; its value. Fails with the nodes' logs after the timeout.

        The nodes go on, for the next try and for the tests that share them.
        """
        end = time.monotonic() + timeout_s
        while not (value := condition()):
            if time.monotonic() > end:
                logs = "\n".join(f"--- {p.name}\n{p.log[-3000:]}" for p in self.processes)
                pytest.fail(f"{what or 'the condition'} not within {timeout_s:g} s\n{logs}")
            self.executor.spin_once(timeout_sec=0.05)
        return value

    def wait_active(self, *names: str, timeout_s: float = START_S) -> None:
        """Until these nodes say that they are active."""
        self.until(lambda: all(self.state(n) == "active" for n in names), timeout_s, f"{names} active")

    def page(self, process: NodeProcess) -> str:
        """The address of the page that an avatar_node serves; where its port was taken it has the next free one."""
        found = self.until(lambda: re.search(r"face at (http://\S+)", process.log), START_S, "the page's address")
        return str(found[1])

    def state(self, name: str) -> str:
        """The lifecycle state that the node's diagnostics tell; empty before the first."""
        return self.value(name, "state")

    def sentence(self, name: str) -> str:
        """What the node's diagnostics say."""
        return self.diagnostics[name].message if name in self.diagnostics else ""

    def level(self, name: str) -> int:
        """The level of the node's diagnostics; -1 before the first."""
        return self.diagnostics[name].level[0] if name in self.diagnostics else -1

    def value(self, name: str, key: str) -> str:
        """A value of the node's diagnostics; empty if it has none of that key."""
        status = self.diagnostics.get(name)
        return {v.key: v.value for v in status.values}.get(key, "") if status else ""

    def call(self, kind: str, service: str, timeout_s: float = 20.0, **fields: Any) -> Any:
        """Call a service and return its response; the request is repeated once if none came in a third of the time."""
        service_type = interface(kind, "srv")
        if service not in self._clients:
            self._clients[service] = self.node.create_client(service_type, service)
        client, request = self._clients[service], service_type.Request(**fields)
        self.until(client.service_is_ready, timeout_s, f"service {service}")
        futures, asked = [client.call_async(request)], time.monotonic()

        def answered() -> Any:
            # Request and response are matched apart: a server that is ready may answer before it has found our reader.
            if len(futures) == 1 and time.monotonic() > asked + timeout_s / 3:
                futures.append(client.call_async(request))
            return next((future for future in futures if future.done()), None)

        return self.until(answered, timeout_s, f"response of {service}").result()

    def change(self, name: str, *labels: str) -> bool:
        """Lead a node through these transitions; whether each succeeded."""
        numbers = {"configure": 1, "cleanup": 2, "activate": 3, "deactivate": 4}
        kind, service = "lifecycle_msgs/ChangeState", f"/{name}/change_state"
        return all(self.call(kind, service, transition=Transition(id=numbers[label])).success for label in labels)

    def settings(self, stage: str, place: str = "") -> dict[str, str]:
        """What a node in a namespace said last of its settings, on `listener/status`, to which the test listens."""
        statuses = [s for s in self.received[f"{place}/listener/status".lstrip("/")] if s.stage == stage]
        return dict(s.split("=", 1) for s in statuses[-1].settings) if statuses else {}

    def set_parameter(self, name: str, parameter: str, value: object) -> Any:
        """Set a parameter of a node; the result."""
        given = [Parameter(parameter, value=value).to_parameter_msg()]
        return self.call("rcl_interfaces/SetParameters", f"/{name}/set_parameters", parameters=given).results[0]

    def close(self) -> list[int]:
        """Stop all processes and leave the domain; the exit statuses."""
        for process in self.processes:
            process.process.send_signal(signal.SIGTERM)
        codes = [p.ended(10.0) for p in self.processes]
        for process, code in zip(self.processes, codes, strict=True):
            if code:  # pytest shows it where the test fails
                print(f"--- {process.name} ended with {code}\n{process.log[-3000:]}")
        self.executor.shutdown(timeout_sec=0.5)
        self.node.destroy_node()
        self._context.try_shutdown()
        self._claim.close()
        return codes


def ask(url: str, path: str = "api/status", body: object = None) -> tuple[int, Any]:
    """Status and content (JSON, or a sentence) of what a page's server answers; a body is posted."""
    data = None if body is None else json.dumps(body).encode()
    request = urllib.request.Request(url + path, data, {"Content-Type": "application/json"})
    # A proxy of the environment does not know this machine's own ports.
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    try:
        answer = opener.open(request, timeout=30)
    except urllib.error.HTTPError as error:
        answer = error
    with answer:
        text = answer.read().decode()
        return answer.status, json.loads(text) if text.startswith("{") else text


def command(environment: dict[str, str], *arguments: str) -> subprocess.Popen[str]:
    """`reactdiff` with these arguments, in a process."""
    return subprocess.Popen(
        [sys.executable, "-m", "reactdiff_ros.cli.main", *arguments], env=environment, cwd=ROOT, text=True,
        stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
    )  # fmt: skip


def free_domain() -> tuple[int, socket.socket]:
    """A ROS domain that no other test and no node of ours on this machine uses, held until the socket is closed."""
    used = {int(n) for n in re.findall(r"@reactdiff_ros(?:-\w+)?/(\d+)", Path("/proc/net/unix").read_text())}
    for domain in set(DOMAINS) - used:
        claim = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        with suppress(OSError):
            claim.bind(f"\0reactdiff_ros-test/{domain}")
            return domain, claim
        claim.close()
    pytest.fail(f"all ROS domains of {DOMAINS} are in use")


def executable(name: str) -> str:
    """The built program of a node, or a skip."""
    for prefix in os.environ.get("AMENT_PREFIX_PATH", "").split(os.pathsep):
        path = Path(prefix) / "lib" / "reactdiff_ros" / name
        if prefix and path.is_file():
            return str(path)
    pytest.skip("the package is not built: 'make setup'")


def _spec(topic: str) -> tuple[Any, Any]:
    """Type and quality of service of a topic of the table, or of one in a namespace: "robot1/speaker/frame"."""
    specs = [spec for node in load_table().nodes for spec in (*node.publishers, *node.subscribers)]
    spec = max((s for s in specs if f"/{topic}".endswith(f"/{s.name}")), key=lambda spec: len(spec.name))
    return interface(spec.type, "msg"), qos_profile(load_table().qos[spec.qos])
