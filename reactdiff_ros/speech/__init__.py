"""The robot's own speech: text to sound, and sound or timings to the mouth.

Enters: text, the robot's own sound, timings of its speech sounds.
Leaves: `Sound` to be played, `Mouth` tracks, `SpeechState`.
Imports: the shared values only.
"""
