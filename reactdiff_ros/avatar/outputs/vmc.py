"""VMC (Virtual Motion Capture) protocol over OSC: blend shapes and the head bone.

One OSC bundle a frame, in the order of protocol.vmc.info's marionette specification:

| address             | arguments                                                                    |
|---------------------|------------------------------------------------------------------------------|
| /VMC/Ext/OK         | int 1                                                                        |
| /VMC/Ext/T          | float, seconds since the first frame                                         |
| /VMC/Ext/Bone/Pos   | "Head", position 0 0 0, quaternion x y z w (Unity's left-handed axes)        |
| /VMC/Ext/Blend/Val  | name, float 0..1; 52 of them, in the order of `coefficients.BLENDSHAPE_NAMES` |
| /VMC/Ext/Blend/Apply| nothing                                                                      |

A bone's position is that of the model's own skeleton, which is not known here: it is 0 and headX, headY, headZ are
not sent. Receivers take the rotation alone (VSeeFace, Warudo) or have a switch for it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from reactdiff_ros.avatar.outputs.pose import head_quaternion, unity_quaternion
from reactdiff_ros.clock import NS
from reactdiff_ros.coefficients import BLENDSHAPE_COUNT, BLENDSHAPE_NAMES, bounded
from reactdiff_ros.resources import require
from reactdiff_ros.types import ExpressionFrame

if TYPE_CHECKING:
    from pythonosc.osc_message import OscMessage


class VmcEncoder:
    """Frames to OSC bundles.

    Args:
        names: `arkit` (jawOpen) or `perfect_sync` (JawOpen).

    Raises:
        MissingExtraError: python-osc is not installed.
    """

    def __init__(self, names: str = "arkit") -> None:
        require("pythonosc")
        import pythonosc.osc_bundle_builder

        self._bundles = pythonosc.osc_bundle_builder
        upper = names == "perfect_sync"
        self.names = tuple(n[0].upper() + n[1:] if upper else n for n in BLENDSHAPE_NAMES)
        self._began_ns: int | None = None

    def encode(self, frame: ExpressionFrame) -> bytes:
        """One datagram of about 3 kB; coefficients that are not finite are neutral."""
        if self._began_ns is None or frame.stamp_ns < self._began_ns:
            self._began_ns = frame.stamp_ns
        values = bounded(frame.coefficients)
        rotation = unity_quaternion(head_quaternion(values))
        bundle = self._bundles.OscBundleBuilder(self._bundles.IMMEDIATELY)
        parts: list[tuple[str, tuple[str | int | float, ...]]] = [
            ("/VMC/Ext/OK", (1,)),
            ("/VMC/Ext/T", ((frame.stamp_ns - self._began_ns) / NS,)),
            ("/VMC/Ext/Bone/Pos", ("Head", 0.0, 0.0, 0.0, *rotation)),
        ]
        shapes = zip(self.names, values[:BLENDSHAPE_COUNT], strict=True)
        parts += [("/VMC/Ext/Blend/Val", (name, float(value))) for name, value in shapes]
        parts.append(("/VMC/Ext/Blend/Apply", ()))
        for address, arguments in parts:
            bundle.add_content(_message(address, arguments))
        return bytes(bundle.build().dgram)


def _message(address: str, arguments: tuple[str | int | float, ...]) -> OscMessage:
    from pythonosc.osc_message_builder import OscMessageBuilder

    builder = OscMessageBuilder(address=address)
    for argument in arguments:
        kind = {str: "s", int: "i", float: "f"}[type(argument)]
        builder.add_arg(argument, kind)
    return builder.build()
