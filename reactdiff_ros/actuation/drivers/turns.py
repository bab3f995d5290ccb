"""Whose turn it is on a line that does not carry all commands of a tick."""

from __future__ import annotations

from collections.abc import Mapping


class Turns:
    """Chooses the commands that are sent: those of the joints that have been behind most, for longest.

    What is not sent is not kept either: the next tick's command takes its place, and nothing waits on the line.
    """

    def __init__(self) -> None:
        self.last: dict[int, int] = {}
        """The last command that each joint was sent, by its id."""
        self._behind: dict[int, int] = {}
        """Sum, over the ticks since then, of how far that was from what was wanted."""

    def choose(self, wanted: Mapping[int, int], cost: Mapping[int, int], room: int) -> dict[int, int]:
        """The commands of `wanted`, in steps by id, that fit into `room` bytes; `cost`: the bytes of each."""
        for number, step in wanted.items():
            away = abs(step - self.last[number]) if number in self.last else 1
            self._behind[number] = self._behind.get(number, 0) + away
        chosen = {}
        for number in sorted(wanted, key=lambda n: -self._behind[n]):
            if cost[number] <= room:
                room -= cost[number]
                chosen[number] = wanted[number]
        return chosen

    def sent(self, steps: Mapping[int, int]) -> None:
        """These were sent."""
        self.last.update(steps)
        self._behind.update(dict.fromkeys(steps, 0))
