"""A GGUF file of Llama's shape as folders that Transformers and ONNX Runtime load, its 4-bit blocks unrounded."""

EVERY = "every.onnx"  # the graph beside model.onnx whose logits are those after every id
