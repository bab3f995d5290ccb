"""The listener's face for other people's avatars: VMC, Live Link Face, ARKit JSON over a websocket.

Enters: expression frames, and where they should go.
Leaves: datagrams and websocket messages in the formats of others, at the face's rate.
Imports: avatar's bounded server, and the shared values.
"""

from reactdiff_ros.avatar.outputs.config import DEFAULTS, OutputsConfig, Target, parse_targets
from reactdiff_ros.avatar.outputs.feed import Feed
from reactdiff_ros.avatar.outputs.live_link import LiveLinkEncoder
from reactdiff_ros.avatar.outputs.udp import UdpOutput
from reactdiff_ros.avatar.outputs.vmc import VmcEncoder
from reactdiff_ros.avatar.outputs.websocket import ArkitServer

__all__ = [
    "DEFAULTS",
    "ArkitServer",
    "Feed",
    "LiveLinkEncoder",
    "OutputsConfig",
    "Target",
    "UdpOutput",
    "VmcEncoder",
    "parse_targets",
]
