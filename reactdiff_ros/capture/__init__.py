"""Capture: stamped pictures and sound from cameras, microphones, media files and messages.

Enters: devices, files, bytes of messages.
Leaves: `Picture` and `Sound` with the time of their capture; one sentence when a device is gone.
Imports: the shared values alone.
"""
