"""The ROS shell: one lifecycle node per room, and what the nodes share.

Enters: messages, parameters, services, lifecycle transitions, the ROS clock.
Leaves: messages, diagnostics, log lines. What is worth testing without ROS lives in the room that a node wraps.
Imports: the rooms and launching. Every file needs ROS: it imports rclpy, `base` or ROS messages. Of the laboratory,
    only `recordings/graph` and `evaluation/bench` do.
"""
