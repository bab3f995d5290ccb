"""The screen face: a page in the browser, fed over a websocket. The only room that imports aiohttp."""

from reactdiff_ros.avatar.config import AvatarConfig
from reactdiff_ros.avatar.server import AvatarServer

__all__ = ["AvatarConfig", "AvatarServer"]
