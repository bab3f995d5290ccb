"""Calibration of joints: the file, the range seen while a joint was moved, and its directions in words."""
