"""An ONNX model while it is written: nodes as they are named, weights straight into the file beside it.

Knows ONNX's form, and no model.
"""

from pathlib import Path

import numpy as np

DATA = "model.onnx.data"
RUNTIME = "com.microsoft"  # the domain of ONNX Runtime's own operators
ALIGNED = 64
SMALL = 1024  # bytes that stay in the graph itself


class OnnxFile:
    """A graph and its data file. `save` may be called for several graphs over the same weights."""

    def __init__(self, folder: Path):
        self.folder = folder
        self._data = (folder / DATA).open("wb")
        self._nodes: dict[str, object] = {}  # by their first output
        self._constants: dict[str, object] = {}

    def node(self, operator: str, inputs: list[str], outputs: str | list[str], **attributes) -> str:
        """Add a node, or put it in the place of the one that gave this output before; gives its first output's name.

        An operator of the runtime's own is written runtime:Name."""
        from onnx import helper

        domain, _, plain = operator.rpartition(":")
        outputs = [outputs] if isinstance(outputs, str) else outputs
        domain = RUNTIME if domain else ""
        made = helper.make_node(plain, inputs, outputs, name=outputs[0], domain=domain, **attributes)
        self._nodes[outputs[0]] = made
        return outputs[0]

    def constant(self, name: str, array: np.ndarray) -> str:
        """Add an array once under a name; gives the name."""
        from onnx import TensorProto, helper, numpy_helper

        if name in self._constants:
            return name
        array = np.ascontiguousarray(array)
        if array.nbytes < SMALL:
            self._constants[name] = numpy_helper.from_array(array, name)
            return name
        self._data.write(bytes(-self._data.tell() % ALIGNED))
        tensor = TensorProto(name=name, dims=array.shape, data_type=helper.np_dtype_to_tensor_dtype(array.dtype))
        tensor.data_location = TensorProto.EXTERNAL
        for key, value in (("location", DATA), ("offset", self._data.tell()), ("length", array.nbytes)):
            tensor.external_data.add(key=key, value=str(value))
        self._data.write(array.data)
        self._constants[name] = tensor
        return name

    def save(self, name: str, inputs: list, outputs: list) -> None:
        """Write the graph as it stands, with (name, kind, shape) of what goes in and comes out."""
        from onnx import helper

        used = {one for node in self._nodes.values() for one in node.input}
        constants = [tensor for key, tensor in self._constants.items() if key in used]
        sides = ([helper.make_tensor_value_info(*one) for one in side] for side in (inputs, outputs))
        graph = helper.make_graph(list(self._nodes.values()), "model", *sides, constants)
        versions = [helper.make_opsetid("", 21), helper.make_opsetid(RUNTIME, 1)]
        model = helper.make_model(graph, opset_imports=versions, ir_version=10, producer_name="slmlab")
        self._data.flush()
        (self.folder / name).write_bytes(model.SerializeToString())

    def close(self) -> None:
        self._data.close()
