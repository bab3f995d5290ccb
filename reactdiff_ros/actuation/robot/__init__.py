"""What a robot is: its profile, its joints' kinematics, its calibration."""
