"""Simulated dyads, the networks in torch, training and export. Not imported at run time.

Enters: dyads of the simulator, recorded calls, settings, a checkpoint to go on from.
Leaves: checkpoints, logs, and weights as ONNX and safetensors with the hash of what they were trained on.
Imports: simulator, datasets, the model's numpy side. The only room that imports torch.
"""
