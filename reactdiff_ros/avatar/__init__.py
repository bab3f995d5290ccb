"""The screen face in the browser, and the face in the formats of other avatars. No other room serves HTTP to people.

Enters: expression frames, what the panel shows (speaker, diagnostics, candidates, robot), and what pages ask for.
Leaves: frames and panel data to every open page, datagrams and websocket messages to other programs, and the requests
    of pages as calls of functions that the owner gave.
Imports: the shared values alone.
"""

from reactdiff_ros.avatar.config import AvatarConfig
from reactdiff_ros.avatar.server import AvatarServer

__all__ = ["AvatarConfig", "AvatarServer"]
