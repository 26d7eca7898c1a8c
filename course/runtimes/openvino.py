"""OpenVINO: openvino-genai turns the GGUF file into a graph once, and openvino runs that graph, ids in and logits out.

The graph is kept in the cache. Its state is the KV cache: reset before each prompt, so nothing of the one before helps.
"""

import shutil
from pathlib import Path

from course.runtimes.contract import Runtime, gguf_file, scores
from slmlab.machine import best_threads, cache_folder

GRAPH = "openvino_model.xml"


class OpenVino(Runtime):
    """A stateful graph on the CPU, with the settings that OpenVINO itself chooses for it but for the threads."""

    id = "openvino"

    def prepare(self) -> None:
        from filelock import FileLock

        home = cache_folder() / "runtimes"
        self._folder = home / f"openvino-{self.version}"  # what another version made need not fit
        with FileLock(home / "openvino.lock"):
            if not self._folder.is_dir():
                self._make_graph(home / "openvino.new")

    def _make_graph(self, new: Path) -> None:
        """It is written beside the file, so the file is copied to a folder of its own, which is moved when whole."""
        import openvino_genai

        shutil.rmtree(new, ignore_errors=True)  # openvino-genai ends the whole process over a file that is cut short
        new.mkdir()
        file = shutil.copyfile(gguf_file(), new / "model.gguf")
        print(f"OpenVINO makes its graph from {gguf_file().name}, once.", flush=True)
        openvino_genai.LLMPipeline(str(file), "CPU", enable_save_ov_model=True)
        file.unlink()
        new.rename(self._folder)

    def open(self) -> None:
        import openvino

        self._core = openvino.Core()
        self.token_bytes = (self._folder / "openvino_model.bin").stat().st_size
        self.size_bytes = self.token_bytes + (self._folder / GRAPH).stat().st_size
        self._request = self._compiled(_last_row_alone(self._core.read_model(self._folder / GRAPH)))

    def _compiled(self, graph):
        settings = {"INFERENCE_NUM_THREADS": best_threads(), "PERFORMANCE_HINT": "LATENCY"}
        return self._core.compile_model(graph, "CPU", settings).create_infer_request()

    def read(self, ids: list[int]) -> None:
        self._past = 0
        self._request.reset_state()
        self._ready = self.step(*ids)

    def step(self, id: int, *more: int) -> int:
        return int(self._logits(self._request, [id, *more])[-1].argmax())

    def score(self, ids: list[int]) -> tuple[list[float], list[int]]:
        """With the graph as it came: it has a row of logits for every id."""
        self._past = 0
        request = self._compiled(self._core.read_model(self._folder / GRAPH))
        return scores(self._logits(request, ids), ids)

    def _logits(self, request, ids: list[int]):
        """Ids taken in; the rows of logits, valid until the next ones are."""
        import numpy as np

        end = self._past + len(ids)
        feeds = {
            "input_ids": np.array([ids], np.int64),
            "attention_mask": np.ones((1, end), np.int64),
            "position_ids": np.arange(self._past, end, dtype=np.int64)[None],
            "beam_idx": np.zeros(1, np.int32),
        }
        self._past = end
        request.infer(feeds, share_inputs=True)
        return request.get_output_tensor(0).data[0]


def _last_row_alone(graph):
    """The output head for the last id alone, as openvino-genai's own pipeline has it: nobody wants the others."""
    import numpy as np
    from openvino import opset13

    head = graph.get_results()[0].input_value(0).get_node()
    while head.get_type_name() != "MatMul":
        head = head.input_value(0).get_node()
    start, stop, step, axis = (np.array([number], np.int64) for number in (-1, np.iinfo(np.int64).max, 1, 1))
    last = opset13.slice(head.input_value(0), start, stop, step, axis)
    head.input(0).replace_source_output(last.output(0))
    return graph
