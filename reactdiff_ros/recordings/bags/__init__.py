"""Recordings in rosbag2's format, read and written without ROS.

Enters: bags and videos of others, messages to be kept, what a study is about, which conditions it hides.
Leaves: pictures, sound and messages in the order of their stamps; bags with what was recorded and who agreed to it;
    conditions dealt out, sealed, and opened with their key.
Imports: capture, which knows how pictures and sound of messages are decoded.
"""
