"""Pictures of a camera, as JPEG: the device's own where it gives them."""

from __future__ import annotations

import array
import math
import threading
from dataclasses import replace
from functools import partial

from sensor_msgs.msg import CameraInfo, CompressedImage
from std_msgs.msg import Header

from reactdiff_ros.capture.camera import Camera, CameraConfig, CameraFrame
from reactdiff_ros.capture.decode import encode_jpeg
from reactdiff_ros.clock import NS
from reactdiff_ros.errors import DeviceError
from reactdiff_ros.messages import fill_header
from reactdiff_ros.nodes.base import ReactdiffNode
from reactdiff_ros.nodes.health import Level
from reactdiff_ros.nodes.runner import run

SILENT_NS = 3 * NS


class CameraNode(ReactdiffNode):
    """Reads the camera in its own thread; retries until the camera can be opened."""

    NAME = "camera_node"
    SLOW = "fewer than half of the camera's pictures come: the room is dark, the cable slow, or this machine overloaded"

    def setup(self) -> None:
        """Check the settings; the camera itself is opened by the reader."""
        device = str(self.values["device"]).strip()
        source = int(device) if device.isdecimal() else device
        self._config = replace(self.configured(CameraConfig), source=source)
        self._pictures = self.advertise("camera/image_raw/compressed")
        self._infos = self.advertise("camera/camera_info")
        self.backend = "opencv"

    def start(self) -> None:
        """Start the reader."""
        self._size, self._rate_hz = (0, 0), 0.0
        self._seen_ns = self._due_ns = self.steady_ns()
        self._camera = Camera(self._config, self.now_ns)
        self.read("camera", self._camera, partial(self._take, self._camera))

    def fine(self) -> str:
        """What the diagnostics say when all is well."""
        width, height = self._size
        return f"camera {self.values['device']} gives {width}x{height}" if width else "opens the camera"

    def nominal_hz(self) -> float:
        """Pictures a second that the open camera says it gives."""
        return self._rate_hz if self._camera.is_open else 0.0

    def observe_health(self) -> None:
        """Say when an open camera gives nothing, or the same picture again and again."""
        if not self._camera.is_open:
            return
        silent = self.steady_ns() - self._seen_ns > SILENT_NS
        frozen = self._camera.frozen_ns(self.now_ns()) > SILENT_NS
        camera = f"camera {self.values['device']}"
        self.set_problem("silent", f"{camera} is open and gives no pictures" if silent else "")
        again = f"{camera} gives the same picture again and again"
        self.set_problem("frozen", again if frozen and not silent else "", Level.WARN)

    def _take(self, camera: Camera, stopping: threading.Event) -> None:
        try:
            frame = camera.read()
        except DeviceError:
            self._size = (0, 0)
            if camera.ended:  # a file, which begins again
                return
            raise
        if stopping.is_set():
            return
        if not self._size[0]:
            self._size, self._rate_hz = camera.size, camera.rate_hz
        self._publish(frame)
        self.solved("camera", f"camera {self.values['device']} is there")
        if camera.paced:
            self._due_ns = self.steady_ns()
        else:  # a file gives its pictures at once: wait for the time of the next one
            rate = camera.rate_hz or self._config.fps or 30.0
            self._due_ns = max(self._due_ns + round(NS / rate), self.steady_ns() - NS)
            stopping.wait(max(0, self._due_ns - self.steady_ns()) / NS)

    def _publish(self, frame: CameraFrame) -> None:
        self._seen_ns = self.steady_ns()
        width, height = self._size
        data = frame.jpeg
        if data is None:
            assert frame.bgr is not None
            height, width = frame.bgr.shape[:2]
            data = encode_jpeg(frame.bgr, int(self.values["jpeg_quality"]))
        message = jpeg_message(data, frame.stamp_ns, str(self.values["frame_id"]))
        self.publish(self._pictures, message)
        self.publish(self._infos, camera_info(message.header, width, height, float(self.values["horizontal_fov_deg"])))
        self.counted(frame.stamp_ns)


def jpeg_message(data: bytes, stamp_ns: int, frame_id: str) -> CompressedImage:
    """A JPEG as a message."""
    message = CompressedImage(header=fill_header(Header(), stamp_ns, frame_id), format="bgr8; jpeg compressed bgr8")
    message.data = array.array("B", data)
    return message


def camera_info(header: Header, width: int, height: int, horizontal_fov_deg: float) -> CameraInfo:
    """Of a pinhole with this field of view; with 0, of a camera that is not calibrated: its matrices are zero."""
    info = CameraInfo(header=header, width=width, height=height)
    if horizontal_fov_deg > 0.0:
        focal, x, y = width / 2 / math.tan(math.radians(horizontal_fov_deg) / 2), width / 2, height / 2
        info.distortion_model, info.d = "plumb_bob", [0.0] * 5
        info.k = [focal, 0.0, x, 0.0, focal, y, 0.0, 0.0, 1.0]
        info.r = [1.0, 0.0, 0.0, 0.0, 1.0, 0.0, 0.0, 0.0, 1.0]
        info.p = [focal, 0.0, x, 0.0, 0.0, focal, y, 0.0, 0.0, 0.0, 1.0, 0.0]
    return info


def main() -> int:
    """Run the node."""
    return run(CameraNode)
