"""The listener's reaction: speaker tokens, causal encoder, latent diffusion over sliding windows.

Enters: `SpeakerFrame`s, controls, a style, a seed; the time up to which a plan is wanted.
Leaves: `Reaction`s: a plan of coefficients at 25 Hz from now on, with the stamps of the evidence that it consumed.
Imports: the shared values alone. No torch, no time: the same seed gives the same bits.
"""
