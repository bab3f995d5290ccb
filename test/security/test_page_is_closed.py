"""The page as it is served by default: to this machine, with nothing to send to it and nothing of others in it."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import aiohttp

from reactdiff_ros.avatar import AvatarConfig, AvatarServer
from reactdiff_ros.launching.table import load_table


@asynccontextmanager
async def served(host: str = "127.0.0.1") -> AsyncIterator[tuple[str, aiohttp.ClientSession]]:
    """The address of the page, and who opens it."""
    server = AvatarServer(AvatarConfig(port=0, host=host))
    async with aiohttp.ClientSession() as session:
        yield await server.start(), session
    await server.stop()


async def test_it_is_served_to_this_machine_alone_and_every_answer_carries_a_strict_policy() -> None:
    assert AvatarConfig().host == load_table().node("avatar_node").parameter("host").default == "127.0.0.1"
    async with served() as (url, session):
        for path in ("", "main.js", "nothing", "api/status", "healthz", "ws"):
            async with session.get(url + path) as answer:
                parts = answer.headers["Content-Security-Policy"].split(";")
                policy = dict(part.strip().partition(" ")[::2] for part in parts)
                assert policy["default-src"] == "'none'"
                assert not any("unsafe" in value or "*" in value or "http" in value for value in policy.values())
                assert policy["base-uri"] == policy["form-action"] == "'none'"
                assert answer.headers["X-Content-Type-Options"] == "nosniff"


async def test_beyond_this_machine_a_token_is_asked_for() -> None:
    """For every page, file and value; healthz says whether it runs, and a stop is anybody's."""
    async with served("0.0.0.0") as (url, session):
        for path in ("", "operator", "?token=wrong", "main.js", "nothing", "ws", "api/status", "API/status"):
            async with session.get(url + path) as answer:
                assert answer.status == 401, path
                assert "reactdiff" not in (await answer.text()).lower()
                assert answer.headers["Content-Security-Policy"].startswith("default-src 'none'")
        statuses = []
        for method, path in (("POST", "api/robot/arm"), ("POST", "api/robot/stop"), ("GET", "healthz")):
            async with session.request(method, url + path, json={"token": "x"}) as answer:
                statuses.append(answer.status)
        assert statuses == [401, 404, 200]  # there is no robot here to stop, but the token is not asked for
