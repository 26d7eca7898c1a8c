"""The batch: texts of different lengths, read side by side in one run of an ONNX model.

A thread takes a place, hands ids over and waits for the logits after them; one thread of the batcher's own runs the
model for whoever waits. Newcomers join at any step. Knows nothing about text, sampling or networks.
"""

import heapq
import json
import threading
from collections.abc import Sequence
from concurrent.futures import Future
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from slmlab.errors import BadRequest, MissingPackage, SlmLabError, WeightsError
from slmlab.probe import best_threads

LONGEST_SHARED = 2048  # ids of a text that shares the table; a longer one gets memory of its own, and gives it back
LONG_PLACES = 2
BLOCK = 128  # ids of a prompt that are read in one run: between two blocks, the others get their next token
GATHER_S = 0.004  # how long a step waits for those who are choosing their next token
FAMILIES = ("llama", "mistral", "phi3")  # read with one position per row; long-context scaling switches for all rows
TYPES = {"tensor(float)": np.float32, "tensor(float16)": np.float16}


class KeyValues:
    """The KV cache of some texts: for each layer keys and values, `rows` texts of up to `capacity` ids."""

    def __init__(self, layers: int, rows: int, heads: int, capacity: int, size: int, kind):
        # Zeros are not touched before they are written: memory is taken as texts grow, not here. One more than the
        # capacity, for the id that counts for nothing (see _step).
        self.arrays = [np.zeros((rows, heads, capacity + 1, size), kind) for _ in range(2 * layers)]
        self.lengths = np.zeros(rows, dtype=np.int64)  # ids that the model has read in each row
        self.capacity = capacity
        self.bindings: dict[tuple[int, int], object] = {}  # first row and number of rows, to the runtime's view of them


@dataclass(frozen=True)
class Place:
    """Where a text sits: a row of a cache."""

    cache: KeyValues
    row: int


@dataclass(eq=False)
class _Work:
    place: Place
    ids: Sequence[int]
    done: Future = field(default_factory=Future)


class Batcher:
    """Runs one model for many threads. `sit`, `read` any number of times, `leave`."""

    def __init__(self, folder: Path, rows: int, threads: int | None = None):
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
        self._table = self._memory(rows, min(LONGEST_SHARED, self.context))
        self._free_rows = list(range(rows))
        self._seats = threading.Semaphore(rows)
        self._long_seats = threading.Semaphore(LONG_PLACES)
        self._change = threading.Condition()
        self._waiting: list[_Work] = []
        self._choosing: set[int] = set()  # rows of the table whose thread has logits and will come back
        self._closed = False
        self._runner = threading.Thread(target=self._run, name="slmlab-batch", daemon=True)
        self._runner.start()

    def _memory(self, rows: int, capacity: int) -> KeyValues:
        heads, size = self._size
        return KeyValues(self._layers, rows, heads, capacity, size, self._kind)

    # What threads call

    def sit(self, capacity: int) -> Place:
        """A place for a text of up to that many ids; waits until one is free."""
        if capacity > self._table.capacity:
            self._long_seats.acquire()
            return Place(self._memory(1, capacity), 0)
        self._seats.acquire()
        with self._change:
            row = heapq.heappop(self._free_rows)  # the lowest, so that a step spans few rows
            self._table.lengths[row] = 0
            return Place(self._table, row)

    def read(self, place: Place, ids: Sequence[int]) -> np.ndarray:
        """The logits after these ids, once the model has read them. Waits for the batch."""
        if place.cache.lengths[place.row] + len(ids) > place.cache.capacity:
            raise BadRequest(f"This text has room for {place.cache.capacity:,} ids.")
        work = _Work(place, ids)
        with self._change:
            if self._closed:
                raise SlmLabError("This model was closed.")
            self._waiting.append(work)
            self._choosing.discard(place.row if place.cache is self._table else -1)
            self._change.notify_all()
        return work.done.result()

    def leave(self, place: Place) -> None:
        if place.cache is not self._table:
            self._long_seats.release()
            return
        with self._change:
            self._choosing.discard(place.row)
            heapq.heappush(self._free_rows, place.row)
            self._change.notify_all()
        self._seats.release()

    def close(self) -> None:
        with self._change:
            self._closed = True
            self._change.notify_all()
        self._runner.join()

    # What the batcher's own thread does

    def _run(self) -> None:
        """In turn: one step for all that write, one block of the prompt that has waited longest."""
        while (works := self._next_works()) is not None:
            writers = [work for work in works if len(work.ids) == 1 and work.place.cache is self._table]
            readers = [work for work in works if work not in writers]
            if writers:
                self._attempt(self._step, writers)
            if readers:
                self._attempt(self._read_block, readers[:1])
        for work in self._waiting:
            work.done.set_exception(SlmLabError("This model was closed."))

    def _next_works(self) -> list[_Work] | None:
        with self._change:
            self._change.wait_for(lambda: self._waiting or self._closed)
            if not self._change.wait_for(lambda: not self._choosing or self._closed, timeout=GATHER_S):
                self._choosing.clear()  # whoever is slow joins a later step
            return None if self._closed else list(self._waiting)

    def _attempt(self, run, works: list[_Work]) -> None:
        try:
            run(works)
        except Exception as fault:  # the runtime raises its own untyped errors: the askers get them, the batch goes on
            self._finish(works, [SlmLabError(f"The model failed: {fault}")] * len(works))

    def _finish(self, works: list[_Work], results: Sequence[np.ndarray | SlmLabError]) -> None:
        with self._change:
            self._waiting = [work for work in self._waiting if work not in works]
            self._choosing.update(work.place.row for work in works if work.place.cache is self._table)
        for work, result in zip(works, results, strict=True):
            if isinstance(result, SlmLabError):
                work.done.set_exception(result)
            else:
                work.done.set_result(result)

    def _step(self, works: list[_Work]) -> None:
        """One id more for each. Rows between theirs are run along with an id that counts for nothing: what it leaves
        in the cache lies behind the end of that row's text, and the next true id is written over it."""
        rows = [work.place.row for work in works]
        first, last = min(rows), max(rows)
        ids = np.zeros((last - first + 1, 1), dtype=np.int64)
        for work in works:
            ids[work.place.row - first] = work.ids[0]
        logits = self._forward(self._table, first, ids)
        self._table.lengths[rows] += 1
        self._finish(works, [logits[row - first, -1].copy() for row in rows])

    def _read_block(self, works: list[_Work]) -> None:
        """The next block of one prompt."""
        (work,) = works
        cache, row = work.place.cache, work.place.row
        block, work.ids = work.ids[:BLOCK], work.ids[BLOCK:]
        logits = self._forward(cache, row, np.asarray([block], dtype=np.int64))
        cache.lengths[row] += len(block)
        if not work.ids:
            self._finish(works, [logits[0, -1].copy()])

    def _forward(self, cache: KeyValues, first: int, ids: np.ndarray) -> np.ndarray:
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
        raise MissingPackage("ONNX Runtime isn't installed: python -m pip install onnxruntime") from fault
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    options.log_severity_level = 3
    try:
        return onnxruntime.InferenceSession(folder / "model.onnx", options, providers=["CPUExecutionProvider"])
    except Exception as fault:  # the runtime raises its own untyped errors for every kind of bad folder
        raise WeightsError(f"ONNX Runtime can't load {folder}: {fault}") from fault


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
        raise WeightsError(f"{folder} has no readable genai_config.json: it is no model to batch.") from fault
