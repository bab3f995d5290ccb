"""The offset of another machine's clock, by a query to its NTP server."""

from __future__ import annotations

import socket
import struct
import time
from typing import Final

SNTP: Final = struct.Struct("!B39xII")
"""RFC 4330: leap, version and mode; after 40 bytes the transmit time in s since 1900 and fractions of 2^32."""
REPLY: Final = struct.Struct("!BB30xIIII")
EPOCH_S: Final = 2_208_988_800
NTP_PORT: Final = 123
TRIES: Final = 4
TIMEOUT_S: Final = 1.0


def clock_offset(host: str, port: int = NTP_PORT) -> tuple[float, float]:
    """(how far another machine's clock is ahead, round trip of the best answer), both in s.

    Raises:
        OSError: the name is unknown, there is no answer, or it is not from a synchronised NTP server.
    """
    family, _, _, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_DGRAM)[0]
    found: list[tuple[float, float]] = []
    with socket.socket(family, socket.SOCK_DGRAM) as query:
        query.settimeout(TIMEOUT_S)
        query.connect(address)
        for _ in range(TRIES):
            sent_s, start_s = time.time(), time.perf_counter()
            whole = int(sent_s)
            query.send(SNTP.pack(0x23, (whole + EPOCH_S) & 0xFFFFFFFF, int((sent_s - whole) * (1 << 32)) & 0xFFFFFFFF))
            answer = query.recv(512)
            round_trip_s = time.perf_counter() - start_s
            received_s, replied_s = _ntp_times(answer)
            # Half of the way there and back, without the time that the server held the query.
            offset_s = ((received_s - sent_s) + (replied_s - (sent_s + round_trip_s))) / 2
            found.append((max(round_trip_s - (replied_s - received_s), 0.0), offset_s))
    wire_s, offset_s = min(found)
    return offset_s, wire_s


def _ntp_times(answer: bytes) -> tuple[float, float]:
    if len(answer) < REPLY.size:
        raise OSError("the answer is not from an NTP server")
    flags, stratum, *parts = REPLY.unpack_from(answer)
    if flags & 7 != 4 or not 1 <= stratum <= 15:
        raise OSError("its NTP server is not synchronised")
    # The era of 1968 to 2104: the highest bit is 0 after the overflow of 2036.
    first, second = (
        whole - EPOCH_S + (0 if whole & 0x80000000 else 1 << 32) + part / (1 << 32)
        for whole, part in (parts[:2], parts[2:])
    )
    return first, second
