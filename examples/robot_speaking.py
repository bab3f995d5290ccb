#!/usr/bin/env python3
"""Ten lines for a lab's own speech synthesis: tell the listener that the voice in the room is the robot's.

While `robot_speaking` is true, and for half a second after, the listener takes no sound for the other's voice and makes
no backchannels; it still sees the other's face. A true that is not repeated within a second lapses.
"""

import subprocess
import sys
import threading
import time

import rclpy
from rclpy.duration import Duration
from std_msgs.msg import Bool


def speak(publisher, say, text):
    """Say `text` with your own blocking `say(text)`, and keep telling so meanwhile."""
    speaking = threading.Thread(target=say, args=(text,))
    publisher.publish(Bool(data=True))  # before the first word
    speaking.start()
    while speaking.is_alive():
        publisher.publish(Bool(data=True))
        speaking.join(timeout=0.2)
    publisher.publish(Bool(data=False))  # after the last one


def main():
    """Say one sentence with espeak-ng, once somebody listens to `robot_speaking` (5 s at most)."""
    text = " ".join(sys.argv[1:]) or "Hello, tell me about your day."
    rclpy.init()
    publisher = rclpy.create_node("speech").create_publisher(Bool, "robot_speaking", 10)
    end = time.monotonic() + 5.0
    while not publisher.get_subscription_count() and time.monotonic() < end:
        time.sleep(0.1)
    speak(publisher, lambda words: subprocess.run(["espeak-ng", words], check=True), text)
    publisher.wait_for_all_acked(Duration(seconds=1))  # the last message
    rclpy.shutdown()


if __name__ == "__main__":
    main()
