"""Image messages to pictures: by cv_bridge where it is installed, by our own decoder of the same pixels where not."""

from __future__ import annotations

from typing import Any

import numpy as np

from reactdiff_ros.capture.decode import decode_compressed, decode_image
from reactdiff_ros.errors import MessageError
from reactdiff_ros.types import UINT8, Picture

from .convert import from_stamp

try:
    from cv_bridge import CvBridge
except ImportError:
    CvBridge = None


class PictureDecoder:
    """Decodes sensor_msgs Image and CompressedImage; keeps the focal length of the last camera_info."""

    def __init__(self) -> None:
        self._bridge: Any = CvBridge() if CvBridge is not None else None
        self._focal: tuple[float, int] | None = None

    @property
    def backend(self) -> str:
        """What decodes raw pictures."""
        return "opencv" if self._bridge is None else "cv_bridge"

    def on_camera_info(self, info: Any) -> None:
        """Keep the focal length; an uncalibrated camera (all zero) tells none. Raises MessageError when impossible."""
        focal, width = float(info.k[0]), int(info.width)
        if focal == 0.0 or width == 0:
            self._focal = None
        elif not 1.0 <= focal <= 1e6:
            raise MessageError(f"a camera_info with a focal length of {focal:g} px")
        else:
            self._focal = (focal, width)

    def raw(self, message: Any) -> Picture:
        """An Image as Picture. Raises MessageError when it is malformed."""
        # cv_bridge trusts sizes, so ours looks first; it also knows encodings that cv_bridge refuses.
        pixels = decode_image(
            message.encoding, message.height, message.width, message.step, message.data, bool(message.is_bigendian)
        )
        if self._bridge is not None:
            pixels = self._by_bridge(message, pixels)
        return self._picture(message, pixels)

    def compressed(self, message: Any) -> Picture:
        """A CompressedImage as Picture. Raises MessageError when it is malformed."""
        return self._picture(message, decode_compressed(message.format, message.data))

    def _by_bridge(self, message: Any, pixels: UINT8) -> UINT8:
        try:
            return np.asarray(self._bridge.imgmsg_to_cv2(message, desired_encoding="bgr8"))
        except Exception:
            return pixels

    def _picture(self, message: Any, pixels: UINT8) -> Picture:
        focal = None if self._focal is None else self._focal[0] * pixels.shape[1] / self._focal[1]
        return Picture(from_stamp(message.header.stamp), pixels, message.header.frame_id or "camera", focal)
