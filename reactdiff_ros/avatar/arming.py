"""The page's hand on the robot: commands need the token that the terminal printed, a stop needs nothing.

Everyone who can reach a page may open it. So arming, disarming and resetting, which move servos, ask for a token;
stopping does not, because anyone who sees a robot do harm must be able to stop it. A stop wins: it waits for no other
command, none begins while it is under way, and when one was under way, the stop has the last word.

Wrong tokens are not counted: no one can lock out the person with the right one, who may want to disarm. The length of
the token protects it: 10,000 tries a second for a thousand years find one of 74 bits with a chance of 1 in 70 million.
"""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Final

from reactdiff_ros.avatar.access import checked_token, same_token

COMMANDS: Final = ("arm", "disarm", "reset")
TOKEN_VARIABLE: Final = "REACTDIFF_PAGE_TOKEN"
"""Who starts the page may give its token in the environment, and then prints it; else the page's node does both."""
STOP_TRIES: Final = 3
STOP_TRY_S: Final = 1.0
COMMAND_S: Final = 12.0
_LETTERS: Final = "abcdefghjkmnpqrstuvwxyz23456789"
Call = Callable[[str], Awaitable[tuple[bool, str]]]
"""Have the actuator do one of COMMANDS or "stop": whether it did (a stop: is stopped), and its sentence. May raise."""


def new_token() -> str:
    """A token that can be typed: three groups of five letters and digits, 74 bits."""
    return "-".join("".join(secrets.choice(_LETTERS) for _ in range(5)) for _ in range(3))


@dataclass(frozen=True, slots=True)
class Answer:
    """The answer to a page: an HTTP status and one sentence."""

    status: int
    message: str

    @property
    def done(self) -> bool:
        """Whether the robot did it."""
        return self.status == 200


class RobotConsole:
    """Takes the pages' commands, one at a time, and their stops at once. All on one event loop.

    Args:
        call: the way to the actuator.
        token: what a command has to bring, in lower case; typed in upper case it is right too.

    Raises:
        ConfigError: a token that could be guessed.
    """

    def __init__(self, call: Call, token: str) -> None:
        self._call = call
        self._token = checked_token(token, TOKEN_VARIABLE)
        self._busy: asyncio.Future[Answer] | None = None
        self._stopping: asyncio.Future[Answer] | None = None
        self._last_word: asyncio.Future[Answer] | None = None

    async def command(self, what: str, token: object) -> Answer:
        """Arm, disarm or reset, if the token is right."""
        if what not in COMMANDS:
            return Answer(404, f"There is no command {what[:20]!r}: use one of {', '.join(COMMANDS)} or stop.")
        refused = self.refuses(token)
        if refused is not None:
            return refused
        if self._under_way(self._stopping) or self._under_way(self._last_word):
            return Answer(409, "The robot is being stopped.")
        if self._under_way(self._busy):
            return Answer(409, "Another command is under way.")
        self._busy = asyncio.ensure_future(self._do(what))
        return await asyncio.shield(self._busy)

    async def stop(self) -> Answer:
        """Stop now; requests that come meanwhile get the same answer."""
        if self._stopping is None or self._stopping.done():
            self._stopping = asyncio.ensure_future(self._stop())
        return await asyncio.shield(self._stopping)

    @staticmethod
    def _under_way(task: asyncio.Future[Answer] | None) -> bool:
        return task is not None and not task.done()

    def refuses(self, token: object) -> Answer | None:
        """The answer where this is not the operator's token, or None."""
        if not isinstance(token, str) or not token.strip():
            return Answer(403, "The token is missing: type the one that the terminal prints.")
        if not same_token(token.strip().lower(), self._token):
            return Answer(403, "The token is wrong: type the one that the terminal prints.")
        return None

    async def _do(self, what: str) -> Answer:
        try:
            done, message = await asyncio.wait_for(self._call(what), COMMAND_S)
        except asyncio.TimeoutError:
            return Answer(503, f"The actuator has not answered for {COMMAND_S:g} s: see what it does, or stop it.")
        except Exception as error:  # any failure on the way there is reported to the page
            return Answer(503, str(error) or type(error).__name__)
        return Answer(200 if done else 409, message)

    async def _stop(self) -> Answer:
        other = self._busy
        answer = await self._until_confirmed()
        if other is not None and self._under_way(other):
            self._last_word = asyncio.ensure_future(self._stop_after(other))
        return answer

    async def _stop_after(self, other: asyncio.Future[Answer]) -> Answer:
        await asyncio.wait({other})
        return await self._until_confirmed()

    async def _until_confirmed(self) -> Answer:
        why = "it does not answer"
        for _ in range(STOP_TRIES):
            try:
                done, why = await asyncio.wait_for(self._call("stop"), STOP_TRY_S)
            except asyncio.TimeoutError:
                continue
            except Exception as error:  # a stop is tried again after any error
                why = str(error)
                await asyncio.sleep(0.05)
                continue
            if done:
                return Answer(200, why or "Stopped.")
        return Answer(503, f"The stop was NOT confirmed ({why}): cut the power of the servos.")
