"""The face on servos: profiles, mapping from coefficients to joints, jerk-limited following, drivers, emulators.

Enters: profiles, calibrations and saved commands; expression frames, measured positions, requests to enable, disable,
    stop and reset; the time of the tick.
Leaves: one command per joint and tick within the limits of the profile; state and faults in words; the makers'
    protocols on the wire.
Imports: the shared values alone. No ROS.
"""
