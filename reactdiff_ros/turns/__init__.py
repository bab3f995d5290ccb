"""Turn-taking: who has the floor, who takes it next, and when a backchannel would fit.

Enters: `SpeakerFrame`s, the person's sound, `SpeechState`.
Leaves: `TurnSignals` 20 times a second, and `TurnEvent`s.
Imports: the shared values only.
"""
