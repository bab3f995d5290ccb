"""The ROS shell: one lifecycle node per room, and what the nodes share.

Enters: messages, parameters, services, lifecycle transitions, the ROS clock.
Leaves: messages, diagnostics, log lines. What is worth testing without ROS lives in the room that a node wraps.
Imports: the rooms and launching. The only room that imports rclpy, next to the `graph` folders of the laboratory.
"""
