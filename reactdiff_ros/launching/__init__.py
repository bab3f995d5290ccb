"""How the nodes are started: the table of nodes, the supervisor, the settings in force, and the doctor's checks.

Enters: config/nodes.json, the user's settings, command line options, heartbeats of the nodes.
Leaves: node processes that are kept alive; every setting with its source; what is wrong on this machine and its fix.
Imports: the rooms, for their profiles and names. No ROS: nodes import this room, never the other way round.
"""
