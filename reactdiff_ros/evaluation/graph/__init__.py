"""The ROS side of the harness: what listens to a running graph, enables its robot, and injects faults."""
