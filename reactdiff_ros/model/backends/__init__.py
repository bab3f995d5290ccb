"""What executes the networks: ONNX Runtime on CPU and CUDA, and TensorRT, behind one small interface."""
