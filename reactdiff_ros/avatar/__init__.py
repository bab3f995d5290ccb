"""The screen face: a page in the browser, fed over a websocket. The only room that serves HTTP to people.

Enters: expression frames, what the panel shows (speaker, diagnostics, candidates, robot), and what pages ask for.
Leaves: frames and panel data to every open page; what its users ask for, as calls that its owner gave it.
Imports: the shared values alone.
"""

from reactdiff_ros.avatar.config import AvatarConfig
from reactdiff_ros.avatar.server import AvatarServer

__all__ = ["AvatarConfig", "AvatarServer"]
