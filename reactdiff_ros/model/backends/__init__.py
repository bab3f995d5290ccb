"""The weights, and what executes them: ONNX Runtime on CPU and CUDA, and TensorRT, behind one small interface."""
