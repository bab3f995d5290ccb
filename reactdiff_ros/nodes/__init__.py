"""The ROS shell: one lifecycle node a room, the one table that describes them, and what they share.

Enters: messages, parameters, services, lifecycle transitions, the ROS clock.
Leaves: messages, diagnostics, log lines. What is worth testing without ROS lives in the room that a node wraps.
Imports: the rooms; of evaluation the accounts that the measuring nodes fill. The only room that imports rclpy.
"""
