"""Recordings in rosbag2's format, read and written without ROS.

Enters: bags and videos of others, messages to be kept, what a study is about.
Leaves: pictures, sound and messages in the order of their stamps; bags with what was recorded and who agreed to it.
Imports: capture, which knows how pictures and sound of messages are decoded.
"""
