"""An ONNX model that reads rows of different lengths side by side, and the memory that their texts live in.

The runtime writes keys and values where they belong, and nothing is copied. Knows nothing about threads or turns.
"""

import json
from pathlib import Path

import numpy as np

from slmlab.errors import BadRequest, NotHere
from slmlab.machine import best_threads

FAMILIES = ("llama", "mistral", "phi3")  # read with one position per row; long-context scaling switches for all rows
TYPES = {"tensor(float)": np.float32, "tensor(float16)": np.float16}


class KeyValues:
    """The KV cache of some texts: for each layer keys and values, `rows` texts of up to `capacity` ids."""

    def __init__(self, layers: int, rows: int, heads: int, capacity: int, size: int, kind):
        # Zeros are not touched before they are written: memory is taken as texts grow, not here. One more than the
        # capacity, for the id that counts for nothing (see batching._step).
        self.arrays = [np.zeros((rows, heads, capacity + 1, size), kind) for _ in range(2 * layers)]
        self.lengths = np.zeros(rows, dtype=np.int64)  # ids that the model has read in each row
        self.capacity = capacity
        self.bindings: dict[tuple[int, int], object] = {}  # first row and number of rows, to the runtime's view of them


class BatchModel:
    """The model in a folder: `memory` for texts, and `forward` to read ids into it."""

    def __init__(self, folder: Path, threads: int | None = None):
        self.threads = threads or best_threads()
        shape = _read_shape(folder)
        self.context = shape["context"]
        self._session = _open_session(folder, self.threads)
        inputs = {one.name: one for one in self._session.get_inputs()}
        names = [f"{layer}.{part}" for layer in range(shape["layers"]) for part in ("key", "value")]
        self._past = [f"past_key_values.{name}" for name in names]
        self._present = [f"present.{name}" for name in names]
        if set(inputs) != {"input_ids", "attention_mask", *self._past}:
            raise BadRequest(f"The model in {folder} can't be batched: it has other inputs than ids and a mask.")
        self._kind = TYPES[inputs[self._past[0]].type]
        self._size = (shape["heads"], shape["size"])
        self._layers = shape["layers"]

    def memory(self, rows: int, capacity: int) -> KeyValues:
        heads, size = self._size
        return KeyValues(self._layers, rows, heads, capacity, size, self._kind)

    def forward(self, cache: KeyValues, first: int, ids: np.ndarray) -> np.ndarray:
        """Run the model over ids of some neighbouring rows; their keys and values are written where they belong."""
        count, width = ids.shape
        lengths = cache.lengths[first : first + count] + width
        mask = (np.arange(lengths.max()) < lengths[:, None]).astype(np.int64)
        binding = cache.bindings.get((first, count)) or self._bind(cache, first, count)
        binding.bind_cpu_input("input_ids", ids)
        binding.bind_cpu_input("attention_mask", mask)
        binding.bind_output("logits", "cpu")  # anew each time: its size is that of the ids
        self._session.run_with_iobinding(binding)
        return binding.get_outputs()[0].numpy()

    def _bind(self, cache: KeyValues, first: int, count: int):
        """Tell the runtime where the keys and values of these rows are: once, for they never move."""
        binding = cache.bindings[first, count] = self._session.io_binding()
        binding.bind_output("logits", "cpu")
        for past, present, array in zip(self._past, self._present, cache.arrays, strict=True):
            place = ("cpu", 0, array.dtype.type, (count, *array.shape[1:]), array[first].ctypes.data)
            binding.bind_input(past, *place)
            binding.bind_output(present, *place)
        return binding


def _open_session(folder: Path, threads: int):
    try:
        import onnxruntime
    except ImportError as fault:
        raise NotHere("ONNX Runtime isn't installed: python -m pip install onnxruntime") from fault
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    options.log_severity_level = 3
    try:
        return onnxruntime.InferenceSession(folder / "model.onnx", options, providers=["CPUExecutionProvider"])
    except Exception as fault:  # the runtime raises its own untyped errors for every kind of bad folder
        raise NotHere(f"ONNX Runtime can't load {folder}: {fault}") from fault


def can_batch(folder: Path) -> bool:
    """Whether the model in a folder is of a family that is read in batches."""
    try:
        model = json.loads((folder / "genai_config.json").read_text(encoding="utf-8"))["model"]
        return model["type"] in FAMILIES and (folder / "model.onnx").is_file() and model["context_length"] <= 8192
    except (OSError, ValueError, KeyError, TypeError):
        return False


def _read_shape(folder: Path) -> dict[str, int]:
    try:
        model = json.loads((folder / "genai_config.json").read_text(encoding="utf-8"))["model"]
        decoder = model["decoder"]
        return {
            "context": model["context_length"],
            "layers": decoder["num_hidden_layers"],
            "heads": decoder["num_key_value_heads"],
            "size": decoder["head_size"],
        }
    except (OSError, ValueError, KeyError, TypeError) as fault:
        raise NotHere(f"{folder} has no readable genai_config.json: it is no model to batch.") from fault
