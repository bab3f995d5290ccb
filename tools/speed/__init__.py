"""Times the metrics against the challenge's way of computing them, and our model against the published one."""
