"""The ways to answer many clients that benchmarks/serving.py compares, each an engine behind the same server.

Run as a program, it serves one of them: python benchmarks/serving_backends.py NAME
"""

import json
import queue
import sys
import threading
from time import perf_counter

import slmlab
from slmlab.engines.local import LocalEngine
from slmlab.records import Start

SEATS = 16


def batched():
    """slmlab's own: one step for all who write, newcomers join at any step."""
    from endpoint.batch.engine import BatchedEngine
    from slmlab import loading

    plan = loading.plan()
    return BatchedEngine(plan.card, plan.folder, plan.precision, seats=SEATS)


def lock():
    """One answer at a time, the others wait."""
    return slmlab.load()


def runtime_engine():
    """ONNX Runtime GenAI's own Engine: it groups requests itself, and gives ids without logits."""
    return RuntimeEngine(slmlab.load())


def xllamacpp():
    """llama.cpp's server from the package xllamacpp, on the original file, asked by the front over a socket."""
    import xllamacpp

    from slmlab import weights

    file = next(weights.folder(slmlab.card("smollm2-135m"), "gguf").glob("*.gguf"))
    params = xllamacpp.CommonParams()
    params.model.path, params.n_parallel, params.n_ctx = str(file), SEATS, SEATS * 1024
    params.cpuparams.n_threads, params.sse_ping_interval, params.port = 2, -1, 0
    xllamacpp_server = xllamacpp.Server(params)
    engine = slmlab.connect(f"{xllamacpp_server.listening_address}/v1", "smollm2-135m")
    engine.seats, engine.server = SEATS, xllamacpp_server
    return engine


class RuntimeEngine(LocalEngine):
    """ONNX Runtime GenAI's Engine, greedy only. One thread runs it; each answer has a queue of ids."""

    engine = "onnx-engine"
    seats = SEATS

    def __init__(self, model):
        super().__init__(model.card, model.format.folder, model.precision)
        import numpy
        import onnxruntime_genai as og

        self._og, self._numpy, self.context = og, numpy, model.context
        config = og.Config(str(model.format.folder))
        options = {"model": {"decoder": {"session_options": {"intra_op_num_threads": model.threads}}}}
        config.overlay(json.dumps(options | {"engine": {"static_batching": {"max_batch_size": SEATS}}}))
        self._loaded = og.Model(config)
        self._asked: queue.Queue = queue.Queue()
        threading.Thread(target=self._run, daemon=True).start()

    def stream(self, ids, sampling, weights=None, image_inputs=None):
        given: queue.Queue = queue.Queue()
        yield Start(perf_counter(), len(ids))
        self._asked.put((ids, sampling.max_tokens, given))
        yield from self._write(((id, None) for id in iter(given.get, None)), sampling.max_tokens, sampling)

    def _run(self) -> None:
        engine, answers = self._og.Engine(self._loaded), {}  # it may be used by the thread alone that made it
        buffer = engine.create_event_buffer(256)
        flags = self._og.EngineEventFlags
        while True:
            while not self._asked.empty() or not answers:
                ids, most, given = self._asked.get()
                request = engine.create_request()
                options = self._og.TurnOptions(request)
                options.set_max_generated_tokens(most)
                options.set_do_sample(False)
                request.begin_turn(self._numpy.array(ids, dtype=self._numpy.int32), options)
                answers[request] = given
            for event in engine.run(buffer):
                flag = event.flags.value if hasattr(event.flags, "value") else int(event.flags)
                if flag & flags.TOKEN.value:
                    answers[event.request].put(event.token)
                if flag & (flags.TURN_FINISHED.value | flags.FAILED.value):
                    answers.pop(event.request).put(None)
                    event.request.close()


BACKENDS = {"batched": batched, "lock": lock, "runtime engine": runtime_engine, "xllamacpp": xllamacpp}

if __name__ == "__main__":
    from endpoint.app import listen, run
    from endpoint.profile import Profile
    from endpoint.queue import Queue

    run(Profile(Queue(BACKENDS[sys.argv[1]](), waiting=64)), listen("127.0.0.1", 0, False), until_input_ends=True)
