"""Capture: stamped pictures and sound from cameras, microphones, media files and messages."""
