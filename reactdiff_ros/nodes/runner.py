"""Runs one node as a process: signals, one instance of a name, one sentence for what cannot start."""

from __future__ import annotations

import faulthandler
import gc
import hashlib
import os
import signal
import socket
import sys
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from typing import TYPE_CHECKING

import rclpy
from rclpy.executors import ExternalShutdownException, SingleThreadedExecutor
from rclpy.signals import SignalHandlerOptions

from reactdiff_ros.errors import ReactdiffError
from reactdiff_ros.launching.process import ServiceManager, use_profile
from reactdiff_ros.launching.table import load_table
from reactdiff_ros.nodes.health import console_arguments

if TYPE_CHECKING:
    from reactdiff_ros.nodes.base import ReactdiffNode

_SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
SIGNALS = "signals"
"""The name of the thread that waits for them until the process ends."""
AGAIN_S = 1.0
GIVE_UP = 100
"""Consecutive failures of the executor that end the node, so that it is restarted."""
STOP_S = 4.0
"""A node that has not stopped within this time after the signal is killed."""
HANG_S = 5.0
"""The same if Python itself cannot run."""
ALONE = ("expression_node",)
"""Nodes that share no memory with others: what happens to those must not hold them up."""
LONGEST_NAME = 89
"""What the rest of a socket's address leaves of its 107 bytes."""


class StopSignal:
    """SIGINT, SIGTERM and SIGHUP as a flag that wakes the executor.

    Python's own handler would interrupt an import or a callback half-way, and would wait while the main thread waits
    in C. So the handler does nothing, and the byte that Python writes for every signal wakes a thread. A second
    signal, or a stop that takes longer than STOP_S, ends the process; but not one of the first second, for a terminal
    and a launcher both send one.
    """

    def __init__(self) -> None:
        self._stopped = threading.Event()
        self.wake: Callable[[], None] = lambda: None
        self._bytes, sender = socket.socketpair()
        sender.setblocking(False)
        self._sender = sender
        for number in _SIGNALS:
            signal.signal(number, lambda *_: None)
        signal.set_wakeup_fd(sender.fileno(), warn_on_full_buffer=False)
        threading.Thread(target=self._wait, name=SIGNALS, daemon=True).start()

    def __bool__(self) -> bool:
        return self._stopped.is_set()

    def _wait(self) -> None:
        self._bytes.recv(1)
        # Of C, for where the middleware hangs and Python itself cannot run any more; it says where.
        faulthandler.dump_traceback_later(HANG_S, exit=True)
        self._stopped.set()
        with suppress(RuntimeError):  # the node woke by itself, and is gone already
            self.wake()
        first_s = time.monotonic()
        while (left_s := first_s + STOP_S - time.monotonic()) > 0:
            self._bytes.settimeout(left_s)
            try:
                number = self._bytes.recv(1)[0]
            except TimeoutError:
                break
            if time.monotonic() - first_s > AGAIN_S:
                os._exit(128 + number)
        os._exit(1)


def claim_name(full_name: str) -> socket.socket:
    """Hold the name of a node on this machine until the returned socket is closed or the process ends.

    An abstract socket: it needs no file, the kernel frees it with the process, and containers that share the host's
    network share it as they share DDS.

    Raises:
        ReactdiffError: another process of this domain holds the name.
    """
    domain = os.environ.get("ROS_DOMAIN_ID") or "0"
    claim = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
    # A longer name than the kernel's addresses hold is represented by its digest.
    name = full_name if len(full_name) <= LONGEST_NAME else "/" + hashlib.sha256(full_name.encode()).hexdigest()
    try:
        claim.bind(f"\0reactdiff_ros/{domain}{name}")
    except OSError as error:
        claim.close()
        raise ReactdiffError(
            f"a node {full_name} already runs in ROS domain {domain}",
            todo="stop it, or start this one in another namespace (-r __ns:=/other)",
        ) from error
    return claim


def run(
    node_class: type[ReactdiffNode], args: list[str] | None = None, say: Callable[[str], None] | None = None
) -> int:
    """Run a node until a signal comes. Returns the exit status: 0 stopped, 2 cannot start.

    `say` gets the one sentence why it cannot start; default: stderr, with the node's name.
    """
    stop = StopSignal()
    manager = ServiceManager(os.environ)
    node = executor = claim = None
    code = 0
    try:
        use_profile(pictures=load_table().node(node_class.NAME).large_messages, alone=node_class.NAME in ALONE)
        rclpy.init(args=console_arguments(args, os.environ), signal_handler_options=SignalHandlerOptions.NO)
        node = node_class()
        claim = claim_name(node.get_fully_qualified_name())
        executor = SingleThreadedExecutor()
        executor.add_node(node)
        stop.wake = node.create_guard_condition(lambda: None).trigger
        if not stop:
            node.start_by_itself()
            manager.ready(f"{node.get_fully_qualified_name()} is {node.life}")
        _spin(node, executor, stop, manager)
        manager.stopping()
    except (KeyboardInterrupt, ExternalShutdownException):
        pass
    except Exception as error:
        if not isinstance(error, ReactdiffError) and node is not None:
            raise
        # Of ROS the first line alone: what it says of a bad argument or parameter file.
        lines = [line.strip() for line in str(error).splitlines() if line.strip()]
        sentence = str(error) if isinstance(error, ReactdiffError) or not lines else lines[0]
        if say is not None:
            say(sentence)
        else:
            print(f"{node_class.NAME}: {sentence}", file=sys.stderr, flush=True)
        code = 2
    finally:
        if node is not None:
            node.close()
        if executor is not None:
            executor.shutdown(timeout_sec=0.5)
        if node is not None:
            # The state machine too, which rclpy keeps: its services hold the DDS participant, whose threads would run
            # on while the end of the process takes away what they use, and crash now and then.
            node.destroy_node()
            node._state_machine.destroy_when_not_in_use()
        else:
            gc.collect()  # one that could not be made has a participant as well
        rclpy.try_shutdown()
        if claim is not None:
            claim.close()
    return _leave(code, stopped=bool(stop))


def _leave(code: int, *, stopped: bool) -> int:
    """The exit status; where a thread could not be stopped, the end of the process here and now.

    Such a thread works in C, and crashes when it comes back to a Python that is being taken down. Python restores the
    default action of every signal that has a handler while it is taken down, so a launcher's copy of the stop signal
    would kill the process there; SIG_IGN remains. What hangs from now on is still ended after HANG_S.
    """
    if stopped:
        for number in _SIGNALS:
            signal.signal(number, signal.SIG_IGN)
    if any(thread is not threading.main_thread() and thread.name != SIGNALS for thread in threading.enumerate()):
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(code)
    return code


def _spin(node: ReactdiffNode, executor: SingleThreadedExecutor, stop: StopSignal, manager: ServiceManager) -> None:
    """Until a signal comes. What rclpy itself raises on a request that it cannot handle ends nothing."""
    in_a_row = 0
    while rclpy.ok() and not stop:
        manager.alive(time.monotonic())
        try:
            executor.spin_once()
            in_a_row = 0
        except (KeyboardInterrupt, ExternalShutdownException):
            raise
        except Exception as error:
            in_a_row += 1
            if in_a_row >= GIVE_UP:
                raise
            node.failed(error, "the executor")
