"""The listener's reaction: speaker tokens, causal encoder, latent diffusion over sliding windows."""
