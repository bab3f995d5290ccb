"""Whatever comes over the wire: nothing is raised, positions are possible ones, and goals stay inside the limits."""

from __future__ import annotations

import math

import pytest
from bus_fixtures import Bench, hobby_axes, wired
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from reactdiff_ros.actuation.drivers.boards import MaestroBoard
from reactdiff_ros.actuation.drivers.driver import Fault
from reactdiff_ros.actuation.emulators import boards as emulated
from reactdiff_ros.actuation.emulators.servos import crc16
from reactdiff_ros.actuation.robot.profile import MaestroDriver

PER_DEGREE = {"sts": 4096 / 360, "scs": 1024 / 300, "load": 4096 / 360}
MIDDLE = {"sts": 2047, "scs": 511, "load": 2047}


def framed(kind: str, number: int, error: int, data: bytes) -> bytes:
    """A well-formed answer with any content."""
    if kind == "load":
        head = b"\xff\xff\xfd\x00" + bytes((number,)) + (len(data) + 4).to_bytes(2, "little") + bytes((0x55, error))
        return head + data + crc16(head + data).to_bytes(2, "little")
    body = bytes((number, (len(data) + 2) % 256, error)) + data
    return b"\xff\xff" + body + bytes((~sum(body) & 0xFF,))


def noise(kind: str) -> st.SearchStrategy[bytes]:
    """Bytes; headers and then bytes; well-formed answers of any kind."""
    headers = st.sampled_from([b"\xff\xff", b"\xff\xff\xfd\x00", b"\xff\xff\x01\x00", b"\xff\xff\xfd\x00\x01\x00\x00U"])
    frames = st.builds(
        framed,
        st.just(kind),
        st.integers(0, 255),
        st.integers(0, 255),
        st.one_of(st.binary(max_size=40), st.integers(0, 30).flatmap(lambda n: st.binary(min_size=n, max_size=n))),
    )
    return st.lists(st.one_of(st.binary(max_size=60), headers, frames), max_size=4).map(b"".join)


@pytest.mark.parametrize("kind", MIDDLE)
@settings(max_examples=60, deadline=None, suppress_health_check=list(HealthCheck))
@given(data=st.data())
def test_garbage_never_raises_and_never_moves_anything_outside(kind: str, data: st.DataObject) -> None:
    reach = round(40 * PER_DEGREE[kind])
    line = Bench(kind, (1, 2, 3), range_min=MIDDLE[kind] - reach, range_max=MIDDLE[kind] + reach)
    answers = data.draw(st.lists(st.one_of(st.none(), noise(kind)), min_size=1, max_size=12))
    turn = [0]

    def garble(true: bytes) -> bytes:
        turn[0] += 1
        said = answers[turn[0] % len(answers)]
        return true if said is None else said + true if turn[0] % 3 == 0 else said

    line.wire.garble = garble
    targets = data.draw(st.lists(st.floats(), min_size=4, max_size=4))
    for value in targets:
        began_s = line.clock.now_s
        line.driver.check()
        for joint in ("j1", "j2"):
            fault = line.driver.arm(joint, value)
            assert fault is None or isinstance(fault, Fault)
        line.driver.command({"j1": value, "j2": -value})
        line.driver.poll(0.01)
        line.driver.release("j2")
        line.driver.count("j3")
        # 40 questions at most, each with a time limit.
        assert line.clock.now_s - began_s < 60 * 0.03
        for joint in line.driver.axes:
            reading = line.driver.reading(joint)
            if reading is not None:
                assert math.isfinite(reading.position)
                assert -181 <= reading.position <= 181
                assert 0 <= reading.load <= 1
        assert all(str(fault) for fault in line.driver.faults().values())
    # Arming goes where the servo says that it stands (its answers were made up), which may be 5 % outside.
    for servo in line.bus.servos.values():
        assert all(abs(raw - MIDDLE[kind]) <= 1.1 * 40 * PER_DEGREE[kind] + 1 for raw in servo.received)
    assert line.bus.servos[3].received == []


@settings(max_examples=60, deadline=None, suppress_health_check=list(HealthCheck))
@given(
    chunks=st.lists(st.one_of(st.none(), st.binary(max_size=6)), min_size=1, max_size=8),
    values=st.lists(st.floats(), min_size=1, max_size=10),
)
def test_a_babbling_maestro_never_raises_and_pulses_stay_inside(
    chunks: list[bytes | None], values: list[float]
) -> None:
    board = emulated.MaestroBoard(6, timeout_s=0.5)
    driver, wire = wired(MaestroBoard, MaestroDriver(type="maestro"), board, hobby_axes(0, 1))
    turn = [0]

    def garble(true: bytes) -> bytes:
        turn[0] += 1
        said = chunks[turn[0] % len(chunks)]
        return true if said is None else said

    wire.garble = garble
    driver.check()
    for value in values:
        driver.arm("j0", value)
        driver.command({"j0": value, "j1": value})
        driver.poll(0.01)
        assert all(str(fault) for fault in driver.faults().values())
    assert set(board.channels[1].received) == set()
    assert all(4 * 1100 <= quarters <= 4 * 1900 for quarters in board.channels[0].received)
