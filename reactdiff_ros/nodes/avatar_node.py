"""The screen face as a node: serves the page, feeds it, and passes the page's commands on to the robot."""

from __future__ import annotations

import asyncio
import math
import os
from functools import partial
from typing import Any, Final

from std_msgs.msg import Bool, Header

from reactdiff_ros import msg
from reactdiff_ros.avatar import AvatarConfig, AvatarServer
from reactdiff_ros.avatar.access import LINK_VARIABLE, LinkAccess, checked_token, links
from reactdiff_ros.avatar.arming import TOKEN_VARIABLE, RobotConsole, new_token
from reactdiff_ros.avatar.web import EventLoop
from reactdiff_ros.avatar.wire import speaker_status
from reactdiff_ros.clock import NS, StampGuard
from reactdiff_ros.errors import DeviceError, ReactdiffError
from reactdiff_ros.launching.compared_face import ComparedFace, page_choices
from reactdiff_ros.launching.process import capture_address
from reactdiff_ros.launching.table import load_table
from reactdiff_ros.messages import (
    candidates_value,
    explanation_value,
    expression_value,
    fill_control,
    fill_header,
    sound_value,
    speaker_value,
)
from reactdiff_ros.nodes.base import ReactdiffNode, interface
from reactdiff_ros.nodes.health import Level
from reactdiff_ros.nodes.runner import run
from reactdiff_ros.types import ListenerControl, SpeakerFrame

ACTUATOR: Final = "actuator_node"
ACTUATOR_SILENT_NS: Final = NS
"""The actuator reports ten times a second: after this time the page says that nothing is heard of it."""
READY_S: Final = 2.0
LOOK_S: Final = 0.02
PASS_ON: Final = "browser_node/pass_seat_on"
_REQUESTS: Final = {
    "arm": (f"{ACTUATOR}/enable", True),
    "disarm": (f"{ACTUATOR}/enable", False),
    "reset": (f"{ACTUATOR}/reset", None),
    "stop": (f"{ACTUATOR}/software_stop", None),
}


class Services:
    """Other nodes' services that pages ask for. `close` is for the node's thread, `ask` for the page's event loop."""

    def __init__(self, node: Any) -> None:
        self._node = node
        self._switch, self._trigger = interface("std_srvs/srv/SetBool", "srv"), interface("std_srvs/srv/Trigger", "srv")
        asked = {name: self._trigger if data is None else self._switch for name, data in _REQUESTS.values()}
        kinds = {**asked, PASS_ON: self._trigger}
        self._clients = {name: node.create_client(kind, name) for name, kind in kinds.items()}

    def close(self) -> None:
        """End the connections."""
        for client in self._clients.values():
            self._node.destroy_client(client)
        self._clients = {}

    async def ask(self, name: str, data: bool | None = None) -> tuple[bool, str]:
        """One request and its answer. Raises DeviceError where the node that has the service is not there."""
        loop, who = asyncio.get_running_loop(), name.partition("/")[0]
        end = loop.time() + READY_S
        while (client := self._clients.get(name)) is None or not client.service_is_ready():
            if client is None or loop.time() > end:
                what = "the actuator" if who == ACTUATOR else "the node"
                raise DeviceError(f"{what} does not answer", where=who, todo="see whether it runs")
            await asyncio.sleep(LOOK_S)
        request = self._switch.Request(data=data) if data is not None else self._trigger.Request()
        answered: asyncio.Future[Any] = loop.create_future()

        def hand_over(future: Any) -> None:
            if not answered.done():
                answered.set_result(future.result())

        asked = client.call_async(request)
        asked.add_done_callback(lambda future: loop.is_closed() or loop.call_soon_threadsafe(hand_over, future))
        try:
            response = await answered
        finally:
            if not asked.done():
                client.remove_pending_request(asked)
        if response is None:
            raise DeviceError("no answer came", where=who)
        return bool(response.success), str(response.message)


class RobotWatch:
    """Knows the newest state of the actuator, and asks it for things.

    `heard` and `status` belong to the node's thread; `console` to the event loop of the page. Commands need `token`.
    """

    def __init__(self, services: Services, token: str) -> None:
        self._services = services
        self._message: Any = None
        self._heard_ns = 0
        self.console = RobotConsole(self._ask, token)

    def heard(self, message: Any, now_ns: int) -> bool:
        """Take an ActuatorState; whether the page should get it at once."""
        before, self._message = self._message, message
        self._heard_ns = now_ns
        return before is None or _news(before) != _news(message)

    def status(self, now_ns: int) -> dict[str, Any] | None:
        """What the page shows of the actuator; None: there has been none. One that has vanished may still have torque:
        the page goes on saying that nothing is heard of it, and a stop says to cut the power.
        """
        message = self._message
        if message is None:
            return None
        return {
            **{name: getattr(message, name) for name in ("robot", "state", "fault", "message")},
            "armed": bool(message.armed), "software_stop": bool(message.software_stop),
            "torque": any(message.torque), "obstacles": list(message.obstacles),
            "joint_faults": {n: why for n, why in zip(message.joints, message.joint_fault, strict=False) if why},
            "silent": now_ns - self._heard_ns > ACTUATOR_SILENT_NS,
        }  # fmt: skip

    async def _ask(self, what: str) -> tuple[bool, str]:
        """One request to the actuator and its answer. Raises DeviceError where the actuator is not there."""
        done, message = await self._services.ask(*_REQUESTS[what])
        while what == "stop" and done and not self._stopped():  # who asks gives up in time
            await asyncio.sleep(LOOK_S)
        return done, message

    def _stopped(self) -> bool:
        """Whether the actuator's state has the stop: an answer alone may mean that it is under way."""
        return self._message is not None and bool(self._message.software_stop)


def _news(message: Any) -> tuple[Any, ...]:
    plain = ("robot", "state", "armed", "software_stop", "fault")
    lists = (any(message.torque), tuple(message.obstacles), tuple(message.joint_fault))
    return (*(getattr(message, name) for name in plain), *lists)


STATUS_S = 0.5
SPEAKING_S = 0.2
"""How often `robot_speaking` is repeated; it expires after a second."""
PLAYED_NS = 200_000_000
"""From the arrival of sound to the end of its way through a page and a loudspeaker."""
UNHEARD_NS = 5 * NS
MOST_VOICE_NS = 10 * NS
"""Sound that waits in a page, at most (voice.js)."""
PLAYED_HERE = "device"
"""The frame id of a voice that a loudspeaker of this machine plays (speech_node): pages do not play it again."""
RETRY_S = 2.0
RENEW_S = 60.0
"""How often the certificate is held against the date and this machine's addresses."""
SILENT_NS = 2 * NS
STAGE_SILENT_NS = 4 * NS
"""A node that is silent for longer hangs or is gone: a recorder then no longer records."""
GONE_NS = 60 * NS
"""A node that is silent for longer is forgotten: it may have been ended on purpose."""


class AvatarNode(ReactdiffNode):
    """`listener/expression` in, a page in the browser out."""

    NAME = "avatar_node"

    def setup(self) -> None:
        """Check the settings."""
        self._config = self.configured(AvatarConfig)
        given = os.environ.get(LINK_VARIABLE, "").strip()
        self._link_token, self._link_given = LinkAccess(given).token, bool(given)
        given = os.environ.get(TOKEN_VARIABLE, "").strip().lower()
        self._page_token, self._page_token_known = checked_token(given or new_token(), TOKEN_VARIABLE), bool(given)
        self.backend = "aiohttp"

    def start(self) -> None:
        """Serve the page and subscribe; a port that cannot be had is tried again."""
        self._loop: EventLoop | None = EventLoop()
        self._others = Services(self)
        self._robot = RobotWatch(self._others, self._page_token)
        capture = capture_address(os.environ, self.get_namespace())
        self._server = AvatarServer(
            self._config, self._robot.console, link_token=self._link_token, capture=capture,
            pass_on=partial(self._others.ask, PASS_ON), choices=page_choices(), choose=self._choose,
        )  # fmt: skip
        self._compared = ComparedFace(self._server.compare, self.failed, self._listener_seed)
        self._guard = StampGuard()
        self._stages: dict[str, Any] = {}
        self._stage_ns: dict[str, int] = {}
        self._speaker: SpeakerFrame | None = None
        self._asked: dict[str, Any] = {}
        self._speaker_ns = self._shown_ns = self.running_ns()
        self._serve()
        self.subscribe("listener/expression", self._on_expression)
        self.subscribe("speaker/frame", self._on_speaker)
        self.subscribe("listener/status", self._on_status)
        self.subscribe("actuator/state", self._on_actuator)
        self.subscribe("speech/audio", self._on_voice)
        self._speaking = self.advertise("robot_speaking")
        self._styles, self._gestures = self.advertise("listener/control"), self.advertise("listener/gesture")
        self._voice_until = self._unheard_until = 0
        self.every(STATUS_S, self._tell)
        self.every(SPEAKING_S, self._tell_speaking)
        self.every(RETRY_S, self._serve)
        if self._config.https:
            self.every(RENEW_S, self._renew)

    def stop(self) -> None:
        """Say goodbye to the pages and free the port."""
        loop = getattr(self, "_loop", None)
        if loop is None:
            return
        self._loop = None
        self._compared.stop()
        try:
            loop.call(self._server.stop())
        finally:
            loop.close()
            self._others.close()

    def fine(self) -> str:
        """What the diagnostics say when all is well."""
        return f"face at {self._server.url}"

    def settings(self) -> dict[str, Any]:
        """Effective settings."""
        url = getattr(self, "_server", None) and self._server.url
        return {"url": url or "", "look": self.values["look"]}

    def observe_health(self) -> None:
        """Say when no face comes in, and when there are too many connections."""
        silent = self.running_ns() - self._shown_ns > SILENT_NS
        sentence = "nothing comes on listener/expression: expression_node is missing or inactive"
        self.set_problem("input", sentence if silent else "", Level.WARN)
        self.set_problem("connections", self._server.fault, Level.WARN)

    def _serve(self) -> None:
        if self._loop is None or self._server.url:
            return
        try:
            url = self._loop.call(self._server.start())
        except ReactdiffError as error:
            self.problem("server", str(error))
            return
        self.solved("server")
        # Not through the log, which goes over the network and into recordings.
        trust, fingerprint = self._server.trust
        if trust:
            print(f"certificate at {trust} with SHA-256 {fingerprint}", flush=True)
        self.get_logger().info(f"face at {url}")
        if self._server.link_token and not self._link_given:
            shared = " ".join(links(url, self._link_token))
            print(f"Anyone who opens one of these links sees the face: {shared}", flush=True)

    def _renew(self) -> None:
        if self._loop is None:
            return
        try:
            renewed = self._loop.call(self._renewed())
        except ReactdiffError as error:
            self.problem("certificate", str(error), Level.WARN)
            return
        self.solved("certificate")
        if renewed:
            self.get_logger().warning(
                "there is a new certificate authority: devices that trusted the old one must trust the new one"
            )

    async def _renewed(self) -> bool:
        return self._server.renew_certificate()

    def _on_expression(self, message: Any) -> None:
        frame = expression_value(message)
        if self._guard.check(frame.stamp_ns) == "late":
            self.meter.dropped["listener/expression (late)"] += 1
            return
        self._server.show(frame)
        self._shown_ns = self.running_ns()
        self.counted(frame.stamp_ns)

    def _on_voice(self, message: Any) -> None:
        """Sound for the pages. While one plays it, `robot_speaking` is true, until its end."""
        if message.header.frame_id == PLAYED_HERE:
            return
        sound, now = sound_value(message), self.steady_ns()
        if not self._server.wanted("voice"):
            self._unheard_until = now + UNHEARD_NS
            return
        self._unheard_until = 0
        self._server.voice(sound)
        began = not self._voice_until
        length = len(sound.samples) * NS // sound.rate_hz
        self._voice_until = min(max(self._voice_until, now + PLAYED_NS) + length, now + MOST_VOICE_NS)
        if began:
            self._tell_speaking()

    def _tell_speaking(self) -> None:
        now = self.steady_ns()
        unheard = "no one hears the robot's voice: press 'Hear the robot' on its page"
        self.set_problem("voice", unheard if now < self._unheard_until else "", Level.WARN)
        if self._voice_until:
            speaks = now < self._voice_until
            self._voice_until = self._voice_until if speaks else 0
            if not self.count_publishers(self.resolve_topic_name("speech/state")):  # speech_node knows it better
                self.publish(self._speaking, Bool(data=speaks))

    def _choose(self, kind: str, name: str) -> None:
        """What was chosen on a page."""
        if kind == "style":
            control = ListenerControl(style=name)
            self.publish(self._styles, fill_control(msg.ListenerControl(), control, self.now_ns()))
        elif kind == "compare":
            self._compared.choose(name)
        else:
            header = fill_header(Header(), self.now_ns())
            self.publish(self._gestures, msg.Gesture(header=header, name=name, strength=1.0))

    def _on_candidates(self, message: Any) -> None:
        values, chosen = candidates_value(message)
        self._server.candidates(values, chosen, float(message.frame_rate))

    def _on_explanation(self, message: Any) -> None:
        self._server.explain(explanation_value(message))

    def _ask(self) -> None:
        """Subscribe while a page shows it alone: the model draws and explains for subscribers only."""
        for what, take in (("candidates", self._on_candidates), ("explanation", self._on_explanation)):
            if self._server.wanted(what) and what not in self._asked:
                self._asked[what] = self.subscribe(f"listener/reaction/{what}", take)
            elif what in self._asked and not self._server.wanted(what):
                self.unsubscribe(self._asked.pop(what))

    def _on_speaker(self, message: Any) -> None:
        self._speaker = speaker_value(message)
        self._server.seen(self._speaker)
        self._compared.observe(self._speaker)
        self._speaker_ns = self.running_ns()

    def _on_status(self, message: Any) -> None:
        self._stages[message.stage] = message
        self._stage_ns[message.stage] = self.steady_ns()

    def _print_token(self, what: str) -> None:
        if not self._page_token_known:
            self._page_token_known = True
            # Not through the log, which goes over the network and into recordings.
            print(f"To {what} from the page, type this token into its panel: {self._page_token}", flush=True)

    def _on_actuator(self, message: Any) -> None:
        self._print_token("arm the robot")
        if self._robot.heard(message, self.steady_ns()):
            self._tell()

    def _listener_seed(self) -> int:
        status = self._stages.get("reaction_node")
        seed = "0" if status is None else _settings(status).get("seed", "0")
        return int(seed) if seed.isdecimal() else 0

    def _tell(self) -> None:
        self._ask()
        self._compared.keep(self._server.wanted("compared"))
        self._forget_who_is_gone()
        stages = dict(self._stages)
        errors = [s.last_error for s in stages.values() if s.last_error]
        worst_first = sorted(stages.values(), key=lambda s: -s.level)
        problems = [s.message for s in worst_first if s.level >= Level.WARN]
        listener = stages.get("reaction_node")
        values = {} if listener is None else {**_settings(listener), "backend": listener.backend}
        visitor = self._heard("browser_node")  # empty: no page may offer its visitor's camera
        if visitor and self._server.link_token:
            self._print_token("end a visit")
        status = {
            "speaker": speaker_status(None if self.running_ns() - self._speaker_ns > SILENT_NS else self._speaker),
            "rates_hz": {name: round(s.rate, 1) for name, s in stages.items()},
            "latency_ms": {n: round(s.latency_p50, 1) for n, s in stages.items() if math.isfinite(s.latency_p50)},
            "listener": values, "compared": self._compared.name,
            "recording": self._heard("recorder_node").get("recording", ""),
            "voice": self.count_publishers(self.resolve_topic_name("speech/audio")) > 0,
            "visitor": visitor.get("visitor", ""), "visitors_waiting": int(visitor.get("waiting", "0")),
            "stages": self._stage_status(), "last_error": (problems or errors or [""])[0],
        }  # fmt: skip
        actuator = self._robot.status(self.steady_ns())
        if actuator is not None:
            status["actuator"] = actuator
        self._server.status(status)

    def _forget_who_is_gone(self) -> None:
        now = self.steady_ns()
        for name in [name for name, heard_ns in self._stage_ns.items() if now - heard_ns > GONE_NS]:
            del self._stages[name], self._stage_ns[name]

    def _silent(self, stage: str) -> bool:
        return self.steady_ns() - self._stage_ns[stage] > STAGE_SILENT_NS

    def _stage_status(self) -> dict[str, dict[str, Any]]:
        """Every node for the operator, along the signal path."""
        found = {}
        for name in (node.name for node in load_table().nodes):
            status = self._stages.get(name)
            if status is None:
                continue
            values = _settings(status)
            missed = values.get("deadline_misses", "")
            faults: dict[str, Any] = {n: values[n] for n in ("picture_fault", "sound_fault") if n in values}
            found[name] = {
                "level": status.level, "message": status.message, "rate": round(status.rate, 1),
                "latency": round(status.latency_p50, 1), "dropped": status.dropped,
                "missed": int(missed) if missed.isdecimal() else None, "silent": self._silent(name),
                **faults,
            }  # fmt: skip
        return found

    def _heard(self, stage: str) -> dict[str, str]:
        """What a node that is heard now says of its settings; empty: it is not heard."""
        status = self._stages.get(stage)
        return {} if status is None or self._silent(stage) else _settings(status)


def _settings(status: Any) -> dict[str, str]:
    """What a ListenerStatus says of its node's settings."""
    parts = (setting.partition("=") for setting in status.settings)
    return {name: value for name, _, value in parts}


def main() -> int:
    """Run the node."""
    return run(AvatarNode)
