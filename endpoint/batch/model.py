"""An ONNX model that reads texts of different lengths side by side, and the memory that their texts live in.

The runtime writes keys and values where they belong, and nothing is copied. Knows nothing about threads or turns.
"""

import json
import mmap
from contextlib import suppress
from pathlib import Path

import numpy as np

from slmlab.machine import best_threads

FAMILIES = ("llama", "mistral", "phi3")  # read with one position per row
LONGEST_CONTEXT = 8192  # beyond it, long-context scaling would switch for all rows at once


class KeyValues:
    """The KV cache of some texts: for each layer keys and values, `rows` texts of up to `capacity` ids."""

    def __init__(self, layers: int, rows: int, heads: int, capacity: int, size: int):
        # One more than the capacity, for the id that counts for nothing (see scheduler._step).
        self.arrays = [_zeros((rows, heads, capacity + 1, size)) for _ in range(2 * layers)]
        self.lengths = np.zeros(rows, dtype=np.int64)  # ids that the model has read in each row
        self.rows, self.capacity = rows, capacity
        self.bindings: dict[tuple[int, int], object] = {}  # first row and number of rows, to the runtime's view of them

    def grow(self, capacity: int) -> None:
        """Make room for longer texts, and keep what was read; all that was there, where memory for it isn't."""
        grown = [_zeros((*one.shape[:2], capacity + 1, one.shape[3])) for one in self.arrays]
        for longer, array in zip(grown, self.arrays, strict=True):
            for row, read in enumerate(self.lengths):
                longer[row, :, :read] = array[row, :, :read]
        self.arrays, self.capacity = grown, capacity
        self.bindings.clear()


def _zeros(shape: tuple[int, ...]) -> np.ndarray:
    """Zeros that take memory as they are written, in small pages. In huge ones, which numpy asks Linux for, each text
    took its whole row at its first id: after 32 clients a server held 1,805 MB, and holds 783 so."""
    if not hasattr(mmap, "MADV_NOHUGEPAGE"):  # elsewhere, huge pages come to those who ask
        return np.zeros(shape, np.float32)
    memory = mmap.mmap(-1, int(np.prod(shape)) * 4, mmap.MAP_PRIVATE)
    with suppress(OSError):  # a kernel without them
        memory.madvise(mmap.MADV_NOHUGEPAGE)
    return np.frombuffer(memory, np.float32).reshape(shape)


class BatchModel:
    """The model in a folder: `memory` for texts, and `forward` to read ids into it."""

    def __init__(self, folder: Path, threads: int | None = None):
        import onnxruntime

        self.threads = threads or best_threads()
        config = _config(folder)
        decoder = config["decoder"]
        self.context = config["context_length"]
        self._layers = decoder["num_hidden_layers"]
        self._size = (decoder["num_key_value_heads"], decoder["head_size"])
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads, options.log_severity_level = self.threads, 3
        self._session = onnxruntime.InferenceSession(folder / "model.onnx", options, providers=["CPUExecutionProvider"])
        names = [f"{layer}.{part}" for layer in range(self._layers) for part in ("key", "value")]
        self._past = [f"past_key_values.{name}" for name in names]
        self._present = [f"present.{name}" for name in names]
        self.fewest_rows = self._fewest_rows()

    def memory(self, rows: int, capacity: int) -> KeyValues:
        heads, size = self._size
        return KeyValues(self._layers, rows, heads, capacity, size)

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
        binding.bind_output("logits", "cpu")  # the first one bound is the first one that comes back
        for past, present, array in zip(self._past, self._present, cache.arrays, strict=True):
            where = ("cpu", 0, array.dtype.type, (count, *array.shape[1:]), array[first].ctypes.data)
            binding.bind_input(past, *where)
            binding.bind_output(present, *where)
        return binding

    def _fewest_rows(self) -> int:
        """How many rows a step needs, so that each row's logits are the same to the bit as among more: found by one
        step done both ways.

        1 where the runtime computes each row for itself: in fp32 and int8, and with AVX-512 VNNI in 4 bits too. 2 for
        4-bit weights on a CPU with AVX2 alone (an AMD EPYC): a lone row takes another kernel there, whose logits are
        up to 1.0 off and choose another id 5 times in 100. A second row costs a lone writer 1.23 times the step.
        """
        cache = self.memory(2, 8)
        alone = self.forward(cache, 0, np.asarray([[1]]))[0].copy()
        return 1 if np.array_equal(alone, self.forward(cache, 0, np.asarray([[1], [1]]))[0]) else 2


def _config(folder: Path) -> dict:
    return json.loads((folder / "genai_config.json").read_text(encoding="utf-8"))["model"]


def can_batch(folder: Path) -> bool:
    """Whether the model in a folder in ONNX form is of a family that is read in batches."""
    model = _config(folder)
    return model["type"] in FAMILIES and model["context_length"] <= LONGEST_CONTEXT
