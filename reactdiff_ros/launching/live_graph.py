"""The nodes of the one table as supervised processes: what `reactdiff listen` and the live bench run.

Importing this needs no ROS; `LiveGraph.listen` does.
"""

from __future__ import annotations

import os
import re
import shutil
import socket
import ssl
import time
import urllib.error
import urllib.request
from collections import ChainMap, defaultdict
from collections.abc import Callable, Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

from reactdiff_ros.errors import ConfigError, ReactdiffError, explained
from reactdiff_ros.launching.access_policies import enclave
from reactdiff_ros.launching.configuration import (
    parameters_of_robot,
    read_parameter_file,
    robot_parameters,
    turns_with_head,
)
from reactdiff_ros.launching.process import peer_of
from reactdiff_ros.launching.supervisor import NodeCommand, Supervisor
from reactdiff_ros.launching.table import LONGEST_NAMESPACE, Node, Value, load_table
from reactdiff_ros.resources import ros_command
from reactdiff_ros.settings import user_folder

FACE = ("expression_node", "avatar_node")
"""Started first where they can be: a face is there before anything is known."""
FACE_SILENT_S = 3.0
"""A frozen face is seen at once: its nodes, whose work is light, have a shorter timeout than the others."""
LOWERING_S = 4.5
"""The actuator lowers what would fall before it ends, and ends itself after 4 s."""
WARN, ERROR = 1, 2
SAY_AGAIN_S = 10.0
WARN_AFTER_S = 4.0
"""A warning is reported once it has lasted for this long: many pass by themselves."""
FINE_AFTER_S = 10.0
"""Its end is reported after this time without it (an error's at once): many warnings come and go."""
_NUMBER = re.compile(r"\d+")
_ADDRESS = r"(https?://(?:[\w.\-]+|\[[\da-fA-F:.]+\]):\d+/?)"
_URL = re.compile(f"face at {_ADDRESS}")
_TRUST = re.compile(rf"certificate at {_ADDRESS} with SHA-256 ([\dA-F:]+)")


@dataclass(frozen=True)
class NodeReport:
    """One heartbeat: the node's own name, level (0 OK, 1 WARN, 2 ERROR), sentence, and values such as `state`."""

    name: str
    level: int
    sentence: str
    values: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class LiveOptions:
    """What to run.

    Args:
        arguments: of the table of nodes (camera, clip, policy ...), those that were given.
        parameters: node parameters by name, for every node that declares one of that name (seed, port ...).
        settings: content of a ROS parameter file, the lab's own: stronger than the robot's profile.
        params_file: ROS parameter file of the user, stronger than these, weaker than what is given above.
        namespace: "" or "/name".
        lan: let other machines find the nodes.
        domain: ROS domain, None = from the environment.
    """

    arguments: Mapping[str, str] = field(default_factory=dict)
    parameters: Mapping[str, Value] = field(default_factory=dict)
    settings: Mapping[str, Any] = field(default_factory=dict)
    params_file: Path | None = None
    namespace: str = ""
    lan: bool = False
    domain: int | None = None

    def __post_init__(self) -> None:
        if self.namespace and not re.fullmatch(r"(/[A-Za-z_]\w*)+", self.namespace):
            what = "a namespace is made of letters, digits and underscores"
            raise ConfigError(what, where=self.namespace, todo="such as /robot1")
        if len(self.namespace) > LONGEST_NAMESPACE:
            raise ConfigError(f"a namespace has at most {LONGEST_NAMESPACE} characters", where=self.namespace)
        if self.params_file is not None:
            read_parameter_file(self.params_file)
        for name, value in self.parameters.items():
            specs = [p for n in load_table().nodes for p in n.parameters if p.name == name]
            if not specs:
                raise ConfigError(f"no node has a parameter {name}")
            for spec in specs:
                spec.checked(value)


def wanted_nodes(options: LiveOptions) -> list[Node]:
    """The nodes that these options start, the face first. Raises ConfigError for unknown arguments or values."""
    table = load_table()
    settled = table.settled(dict(options.arguments))
    robot_parameters(settled["robot"])
    nodes = [node for node in table.nodes if node.wanted(settled)]
    return sorted(nodes, key=lambda node: node.name not in FACE)


def first_nodes(options: LiveOptions) -> list[Node]:
    """Those of the face that need not wait until it is known where pictures come from.

    expression_node waits where the camera turns with the robot's head: pictures of a clip do not, and a head that
    takes them for its camera's runs after itself to its limit.
    """
    robot = load_table().settled(dict(options.arguments))["robot"]
    names = ("avatar_node",) if turns_with_head(robot) else FACE
    return [node for node in wanted_nodes(options) if node.name in names]


def node_command(node: Node, options: LiveOptions, folder: Path) -> NodeCommand:
    """How to start `node`; its parameters are written to `folder`. Raises ReactdiffError when it is not installed."""
    parameters: dict[str, Value] = {
        name: node.parameter(name).checked(options.arguments[argument])
        for name, argument in node.arguments.items()
        if argument in options.arguments
    }
    parameters |= node.checked(options.parameters)
    settled = load_table().settled(dict(options.arguments))
    arguments = ["--ros-args", "-r", f"__ns:={options.namespace or '/'}"]
    arguments += ["--enclave", enclave(node.name, options.namespace)]
    if settled["use_sim_time"] == "true":
        arguments += ["-p", "use_sim_time:=true"]
    robot = parameters_of_robot(settled)
    # By the node's whole name: ROS applies entries in the order of first mention, a shared /** would be early.
    own = {f"{options.namespace}/{node.name}": {"ros__parameters": parameters}} if parameters else None
    files = [_written(robot, folder / "robot.yaml"), _written(options.settings, folder / "settings.yaml")]
    for file in (*files, options.params_file, _written(own, folder / f"{node.name}.yaml")):
        if file is not None:
            arguments += ["--params-file", str(file.resolve())]
    silent_s = FACE_SILENT_S if node.name in FACE else None
    term_s = LOWERING_S if node.name == "actuator_node" else None
    return NodeCommand(node.name, (str(executable(node.name)), *arguments), silent_s=silent_s, term_s=term_s)


def _written(parameters: Mapping[str, Any] | None, path: Path) -> Path | None:
    """A ROS parameter file with this content; None: there is nothing to write."""
    if not parameters:
        return None
    path.write_text(yaml.safe_dump(dict(parameters)))
    return path


def executable(name: str) -> Path:
    """The installed program lib/reactdiff_ros/NAME. Raises ReactdiffError when no prefix has it."""
    for prefix in os.environ.get("AMENT_PREFIX_PATH", "").split(os.pathsep):
        path = Path(prefix) / "lib" / "reactdiff_ros" / name
        if prefix and path.is_file():
            return path
    raise ReactdiffError("the nodes are not on the path", where=name, todo=ros_command())


def graph_environment(options: LiveOptions, base: Mapping[str, str] | None = None) -> dict[str, str]:
    """The environment of the nodes, and of programs that listen to them: domain, and how far DDS looks."""
    environment = dict(os.environ if base is None else base)
    if options.domain is not None:
        environment["ROS_DOMAIN_ID"] = str(options.domain)
    environment["ROS_AUTOMATIC_DISCOVERY_RANGE"] = "SUBNET" if options.lan else "LOCALHOST"
    if environment.get("ROS_DISTRO") == "humble":
        environment["ROS_LOCALHOST_ONLY"] = "0" if options.lan else "1"
    environment["PYTHONUNBUFFERED"] = "1"
    return environment


def domain_of(environment: Mapping[str, str]) -> int:
    """ROS_DOMAIN_ID of an environment. Raises ConfigError when it is no domain."""
    text = environment.get("ROS_DOMAIN_ID") or "0"
    if not text.isdecimal() or int(text) > 232:
        raise ConfigError("ROS_DOMAIN_ID is not a whole number of 0 to 232", where=text)
    return int(text)


class Claim:
    """One listener in a namespace of a ROS domain of this machine; the kernel frees it with the process.

    Raises:
        ReactdiffError: there is one already.
    """

    def __init__(self, domain: int, namespace: str) -> None:
        where = f"namespace {namespace or '/'}, ROS domain {domain}"
        todo = "stop it, or use another --namespace or ROS_DOMAIN_ID"
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        address = f"\0reactdiff_ros-listen/{domain}{namespace}"
        try:
            self._socket.bind(address)
            self._socket.listen(4)
        except OSError as error:
            self._socket.close()
            raise ReactdiffError(f"a listener already runs{_holder(address)}", where=where, todo=todo) from error
        # Nodes that were started without us (a launch file) hold their names themselves, see runner.claim_name.
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as probe:
            if probe.connect_ex(f"\0reactdiff_ros/{domain}{namespace}/expression_node") == 0:
                self._socket.close()
                raise ReactdiffError("an expression_node already runs", where=where, todo=todo)

    def release(self) -> None:
        """Let another one come."""
        self._socket.close()


def _holder(address: str) -> str:
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as probe, suppress(OSError):
        probe.settimeout(0.2)
        probe.connect(address)
        return f" (process {peer_of(probe)[0]})"
    return ""


@dataclass
class _Heard:
    """What was last logged of a node, and since when it has had warnings, or none (steady clock, s)."""

    said: str = ""
    said_s: float = 0.0
    error: bool = False
    warned_s: float | None = None
    fine_s: float | None = None


class LiveGraph:
    """The running nodes. Use as a context manager: at its end no process is left.

    Call `start`, then `listen`, then `step` until done. `url` is the face's address once its page answers. `reports`
    holds every node's last report. All from one thread.

    Args:
        options: what to run.
        log: called with one sentence for every event that a user should know.
        folder: for logs and parameter files; emptied first.
    """

    def __init__(self, options: LiveOptions, log: Callable[[str], None], folder: Path) -> None:
        from reactdiff_ros.avatar.access import LINK_VARIABLE, checked_token, new_link_token
        from reactdiff_ros.avatar.arming import TOKEN_VARIABLE, new_token

        self.options = options
        self.environment = graph_environment(options)
        """Of the nodes, and of this process once it listens to them."""
        given = {name: self.environment.get(name, "").strip() for name in (TOKEN_VARIABLE, LINK_VARIABLE)}
        self.page_token = checked_token(given[TOKEN_VARIABLE] or new_token(), TOKEN_VARIABLE)
        """With it the face's page may arm a robot: to be printed in the terminal."""
        self.link_token = checked_token(given[LINK_VARIABLE] or new_link_token(), LINK_VARIABLE)
        """What the face's page asks for where it is served beyond this machine: part of the link to be printed."""
        self.url: str | None = None
        self.trust = ("", "")
        """With https: the address of the page of the certificate, and the certificate's fingerprint."""
        self.reports: dict[str, NodeReport] = {}
        self.watch: Any = None
        """The `nodes.graph_watch.GraphWatch` that hears the nodes, once `watch_graph` was called."""
        self._log = log
        self._heard = defaultdict[str, _Heard](_Heard)
        self._claim = Claim(domain_of(self.environment), options.namespace)
        shutil.rmtree(folder, ignore_errors=True)
        try:
            folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            self._claim.release()
            raise ReactdiffError("logs cannot be written", where=str(folder), todo=str(error.strerror)) from error
        self._folder = folder
        self.environment.setdefault("ROS_LOG_DIR", str(folder / "ros"))
        # The nodes' alone: this process would pass them on to whatever it starts.
        secrets = {TOKEN_VARIABLE: self.page_token, LINK_VARIABLE: self.link_token}
        self.supervisor = Supervisor((), ChainMap(secrets, self.environment), log, folder)

    def __enter__(self) -> LiveGraph:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def start(
        self, nodes: Iterable[Node], change: Callable[[NodeCommand], NodeCommand] = lambda command: command
    ) -> None:
        """Start these nodes, those that run already excepted, each with the command that `change` returns."""
        with explained(OSError, "parameters cannot be written", where=self._folder):
            commands = [node_command(node, self.options, self._folder) for node in nodes]
        for command in commands:
            self.supervisor.add(change(command))
        self.supervisor.start(command.name for command in commands)

    def step(self, seconds: float = 0.1) -> None:
        """Hear the nodes for `seconds` and look after them once."""
        if self.watch is not None:
            self.watch.spin(seconds)
        else:
            time.sleep(seconds)
        self.supervisor.poll()
        self._look_for_page()

    def active(self) -> bool:
        """Every node that was started has said that it is active."""
        names = self.supervisor.names()
        return bool(names) and all(
            self.supervisor.heard(name) and self.reports[name].values.get("state", "active") == "active"
            for name in names
        )

    def close(self) -> None:
        """Stop everything. Safe to call twice."""
        self.supervisor.stop()
        if self.watch is not None:
            self.watch.close()
            self.watch = None
        self._claim.release()

    def hear(self, report: NodeReport) -> None:
        """Take one heartbeat: the supervisor's watchdog, the log, the page's address."""
        self.supervisor.heartbeat(report.name)
        if report.name not in self.supervisor.pids():
            return
        self.reports[report.name] = report
        heard, now = self._heard[report.name], time.monotonic()
        error, warns = report.level >= ERROR, report.level >= WARN
        active = report.values.get("state", "active") == "active"
        heard.fine_s = None if warns else heard.fine_s or now
        if not error:
            counts = warns and active and not self._explained(report.name)
            heard.warned_s = (heard.warned_s or now) if counts else None
        if error or (heard.warned_s is not None and now - heard.warned_s >= WARN_AFTER_S):
            # The same with another count is nothing new.
            news = _NUMBER.sub("", report.sentence) != _NUMBER.sub("", heard.said)
            if news and (not heard.said or now - heard.said_s > SAY_AGAIN_S):
                self._log(f"{report.name}: {report.sentence}")
                heard.said, heard.said_s, heard.error = report.sentence, now, error
        elif heard.said and heard.fine_s is not None and (heard.error or now - heard.fine_s >= FINE_AFTER_S):
            self._log(f"{report.name} works again: {report.sentence}")
            heard.said = ""

    def _explained(self, name: str) -> bool:
        """A node before this one is missing or has a problem itself. The table lists nodes along the signal path."""
        order = [node.name for node in load_table().nodes]
        before = [n for n in order[: order.index(name)] if n in self.supervisor.names()]
        return any(not self.supervisor.heard(n) or self.reports[n].level >= WARN for n in before)

    def _look_for_page(self) -> None:
        runs = "avatar_node" in self.supervisor.pids()
        log = self.supervisor.log_of("avatar_node") if runs else ""
        found = _URL.findall(log)
        self.trust = next(reversed(_TRUST.findall(log)), ("", ""))
        if not found:
            self.url = None
        elif found[-1] != self.url and page_answers(found[-1]):
            self.url = found[-1]


def page_answers(url: str, timeout_s: float = 0.5) -> bool:
    """Whether a GET of `url` is answered now, with a page, or by one that asks for its token."""
    return page_status(url, timeout_s) in (200, 401)


def page_status(url: str, timeout_s: float = 0.5) -> int:
    """The status of the answer to a GET of `url`, 401 where the page asks for its token; 0: there is none."""
    try:
        # A proxy of the environment does not know this machine's own ports.
        # Nothing is sent to who answers, so its self-signed certificate is as good as any.
        trusting = urllib.request.HTTPSHandler(context=ssl._create_unverified_context())
        opener = urllib.request.build_opener(urllib.request.ProxyHandler({}), trusting)
        with opener.open(url, timeout=timeout_s) as answer:
            return int(answer.status) if answer.read(1) else 0
    except urllib.error.HTTPError as error:
        with error:
            return error.code
    except (OSError, ValueError):
        return 0


def state_folder() -> Path:
    """Where logs go: next to the environment of this checkout, else in the user's cache."""
    return Path(os.environ.get("REACTDIFF_HOME_DIR") or user_folder("CACHE"))
