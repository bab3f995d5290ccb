"""The ROS shell: one lifecycle node a room, the one table that describes them, and what they share."""
