"""The ROS side of recordings: the node that records a bag, the bag player, and the marker of study events."""
