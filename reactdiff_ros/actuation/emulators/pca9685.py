"""An I2C bus in memory with PCA9685 chips on it, registers after the chip's data sheet."""

from __future__ import annotations

import errno
from typing import Any, Final

MODE1, FIRST, PRESCALE = 0x00, 0x06, 0xFE
SLEEP, INCREMENT = 0x10, 0x20
OSCILLATOR_HZ: Final = 25_000_000
FULL_OFF: Final = 0x1000


class Pca9685:
    """One chip."""

    def __init__(self) -> None:
        self.absent = False
        """It does not answer on the bus."""
        self.registers = bytearray(256)
        self._at = 0
        self.reset()

    def reset(self) -> None:
        """As after its power was off: asleep, 200 Hz, no pulses."""
        self.registers = bytearray(256)
        self.registers[MODE1], self.registers[PRESCALE] = 0x11, 0x1E
        for channel in range(16):
            self.registers[FIRST + 4 * channel + 3] = FULL_OFF >> 8

    def pulse_us(self, channel: int) -> float:
        """The pulse of a channel; 0: none."""
        at = FIRST + 4 * channel
        off = int.from_bytes(self.registers[at + 2 : at + 4], "little")
        if self.registers[MODE1] & SLEEP or off & FULL_OFF:
            return 0.0
        on = int.from_bytes(self.registers[at : at + 2], "little")
        return ((off - on) % 4096) * (self.registers[PRESCALE] + 1) / OSCILLATOR_HZ * 1e6

    def write(self, data: bytes) -> None:
        """A register's number, then bytes for it and, with auto-increment, those after it."""
        if not data:
            return
        self._at = data[0]
        for value in data[1:]:
            # The frequency can be set in sleep alone.
            if self._at != PRESCALE or self.registers[MODE1] & SLEEP:
                self.registers[self._at] = value & 0x7F if self._at == MODE1 else value
            self._next()

    def read(self, length: int) -> bytes:
        """Bytes from the register that was named last."""
        data = bytearray()
        for _ in range(length):
            data.append(self.registers[self._at])
            self._next()
        return bytes(data)

    def _next(self) -> None:
        if self.registers[MODE1] & INCREMENT:
            self._at = (self._at + 1) % 256


class I2cBus:
    """A bus in the shape that CircuitPython's libraries expect."""

    def __init__(self) -> None:
        self.chips: dict[int, Pca9685] = {}
        self._locked = False

    def add(self, address: int) -> Pca9685:
        """Put a chip on the bus."""
        self.chips[address] = Pca9685()
        return self.chips[address]

    def try_lock(self) -> bool:
        """Take the bus."""
        if self._locked:
            return False
        self._locked = True
        return True

    def unlock(self) -> None:
        """Give it back."""
        self._locked = False

    def writeto(self, address: int, buffer: Any, *, start: int = 0, end: int | None = None) -> None:
        """Write to a chip."""
        self._chip(address).write(bytes(buffer[start:end]))

    def readfrom_into(self, address: int, buffer: Any, *, start: int = 0, end: int | None = None) -> None:
        """Read from a chip."""
        end = len(buffer) if end is None else end
        buffer[start:end] = self._chip(address).read(end - start)

    def writeto_then_readfrom(
        self,
        address: int,
        out_buffer: Any,
        in_buffer: Any,
        *,
        out_start: int = 0,
        out_end: int | None = None,
        in_start: int = 0,
        in_end: int | None = None,
    ) -> None:
        """Write to a chip, then read from it."""
        self.writeto(address, out_buffer, start=out_start, end=out_end)
        self.readfrom_into(address, in_buffer, start=in_start, end=in_end)

    def _chip(self, address: int) -> Pca9685:
        chip = self.chips.get(address)
        if chip is None or chip.absent:
            raise OSError(errno.EREMOTEIO, "no chip acknowledges")
        return chip
