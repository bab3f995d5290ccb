"""Recordings in rosbag2's format, read and written without ROS."""
