"""`reactdiff doctor`: whether this machine's clock is kept, and how far another machine's is off."""

from __future__ import annotations

import ctypes
import socket
import struct
import time
from collections.abc import Callable, Iterator
from typing import Final

from reactdiff_ros.launching.doctor.finding import ERROR, NOTE, OK, Finding

UNSYNCHRONISED: Final = 0x40
"""STA_UNSYNC of linux/timex.h."""
TIMEX: Final = struct.Struct("@I4x4li")
"""The head of its struct timex on 64 bits: modes, offset, frequency, largest error, estimated error (us), status."""
SNTP: Final = struct.Struct("!B39xII")
"""RFC 4330: leap, version and mode; 40 bytes on, the time of the transmission in s since 1900 and parts of 2^32."""
REPLY: Final = struct.Struct("!BB30xIIII")
EPOCH_S: Final = 2_208_988_800
PORT: Final = 123
OFF_S: Final = 0.02
"""Half a frame of the model: so much wrong age is seen in nothing that we measure."""
TRIES: Final = 4

CHRONY: Final = "sudo apt-get install chrony"


def kernel_clock() -> tuple[bool, float] | None:
    """Whether the kernel's clock is kept in time, and how wrong it may be at most, s; None: it cannot be asked."""
    buffer = ctypes.create_string_buffer(512)
    try:
        if ctypes.CDLL(None, use_errno=True).adjtimex(buffer) < 0:
            return None
    except (OSError, AttributeError):
        return None
    _, _, _, largest_us, _, status = TIMEX.unpack_from(buffer)
    return not status & UNSYNCHRONISED, 1e-6 * float(largest_us)


def check_clock(clock: Callable[[], tuple[bool, float] | None] = kernel_clock) -> Iterator[Finding]:
    """Whether something keeps the clock in time."""
    known = clock()
    if known is None:
        yield Finding("clock", NOTE, "the kernel does not tell whether the clock is kept in time")
    elif known[0]:
        yield Finding("clock", OK, f"kept in time, wrong by {1e3 * known[1]:.0f} ms at most")
    else:
        yield Finding("clock", NOTE, "nobody keeps it in time: one machine alone does not mind, two do", CHRONY)


def check_peer(host: str, ask: Callable[[str], tuple[float, float]] | None = None) -> Iterator[Finding]:
    """How far the clock of another machine is from this one's, by its NTP server."""
    try:
        offset_s, took_s = (ask or clock_offset)(host)
    except OSError as error:
        reason = "no answer" if isinstance(error, TimeoutError) else error.strerror or str(error)
        todo = f"on {host}: {CHRONY}, the line 'allow' into /etc/chrony/chrony.conf, and UDP port {PORT} open"
        yield Finding("clock", ERROR, f"{host}: its clock cannot be asked ({reason})", todo)
        return
    sentence = f"{host} is {1e3 * abs(offset_s):.1f} ms {'ahead' if offset_s > 0 else 'behind'}"
    sentence += f", to {500 * took_s:.1f} ms"
    if abs(offset_s) - took_s / 2 > OFF_S:
        todo = f"on this machine: {CHRONY}, and 'server {host} iburst' into /etc/chrony/chrony.conf"
        yield Finding("clock", ERROR, f"{sentence}: frames are taken for older or newer by that", todo)
    else:
        yield Finding("clock", OK, sentence)


def clock_offset(host: str, port: int = PORT, timeout_s: float = 1.0) -> tuple[float, float]:
    """(how far another machine's clock is ahead, how long the best answer took), both in s.

    Raises:
        OSError: the name is unknown, nobody answers, or what answers is no NTP server that knows the time.
    """
    family, _, _, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_DGRAM)[0]
    best: tuple[float, float] | None = None
    with socket.socket(family, socket.SOCK_DGRAM) as asking:
        asking.settimeout(timeout_s)
        asking.connect(address)
        for _ in range(TRIES):
            sent_s = time.time()
            start_s = time.perf_counter()
            asking.send(SNTP.pack(0x23, *_stamp(sent_s)))
            answer = asking.recv(512)
            took_s = time.perf_counter() - start_s
            heard_s, told_s = _read(answer)
            # Half of the way there and back, without the time that the server had it.
            offset_s = ((heard_s - sent_s) + (told_s - (sent_s + took_s))) / 2
            wire_s = max(took_s - (told_s - heard_s), 0.0)
            if best is None or wire_s < best[1]:
                best = (offset_s, wire_s)
    assert best is not None
    return best


def _read(answer: bytes) -> tuple[float, float]:
    if len(answer) < 48:
        raise OSError("what answers is no NTP server")
    flags, stratum, *parts = REPLY.unpack_from(answer)
    if flags & 7 != 4 or not 1 <= stratum <= 15:
        raise OSError("its NTP server does not know the time itself")
    return _seconds(parts[0], parts[1]), _seconds(parts[2], parts[3])


def _stamp(at_s: float) -> tuple[int, int]:
    whole = int(at_s)
    return (whole + EPOCH_S) & 0xFFFFFFFF, int((at_s - whole) * (1 << 32)) & 0xFFFFFFFF


def _seconds(whole: int, part: int) -> float:
    # The era of 1968 to 2104: the highest bit tells whether it began anew in 2036.
    return whole - EPOCH_S + (0 if whole & 0x80000000 else 1 << 32) + part / (1 << 32)
