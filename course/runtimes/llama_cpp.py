"""llama.cpp from the package xllamacpp, on the GGUF file as it is."""

from course.runtimes.contract import CAPACITY, Runtime, gguf_file
from slmlab.machine import best_threads

TOP = 500  # of the likeliest ids; one that isn't among them counts as the last of them


class LlamaCpp(Runtime):
    """Its server, asked within the process, with ids in place of text."""

    id = "llama.cpp"

    def open(self) -> None:
        import xllamacpp

        file = gguf_file()
        self.size_bytes = self.token_bytes = file.stat().st_size
        params = xllamacpp.CommonParams()
        params.model.path, params.n_parallel, params.n_ctx, params.port = str(file), 1, CAPACITY, 0
        params.cpuparams.n_threads = params.cpuparams_batch.n_threads = best_threads()
        self._server = xllamacpp.Server(params)

    def read(self, ids: list[int]) -> None:
        self._ids = list(ids)
        self._ask(ids, 1, reuse=False)

    def write(self, count: int) -> list[int]:
        """It has kept the prompt, but for its last id: one step for each id that it writes."""
        # its ids come with probabilities; those after sampling from one id cost nothing
        named = {"n_probs": 1, "top_k": 1, "post_sampling_probs": True}
        written = [one["id"] for one in self._ask(self._ids, count, reuse=True, **named)]
        self._ids += written
        return written

    def score(self, ids: list[int]) -> tuple[list[float], list[int]]:
        """One id after the other, each read once: the server keeps what it has read."""
        logprobs, likeliest = [], []
        for position in range(1, len(ids)):
            (told,) = self._ask(ids[:position], 1, reuse=True, n_probs=TOP)
            found = {one["id"]: one["logprob"] for one in told["top_logprobs"]}
            logprobs.append(found.get(ids[position], min(found.values())))
            likeliest.append(max(found, key=found.get))
        return logprobs, likeliest

    def _ask(self, ids: list[int], count: int, *, reuse: bool, **more) -> list[dict]:
        settings = {"temperature": 0, "ignore_eos": True, "n_predict": count, "cache_prompt": reuse}
        told = self._server.handle_completions({"prompt": ids, **settings, **more})
        return told["choices"][0]["logprobs"]["content"] if more else []
