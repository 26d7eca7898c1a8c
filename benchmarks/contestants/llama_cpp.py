"""llama.cpp from the package xllamacpp, on the file as it is."""

PACKAGE = "xllamacpp"
TOP = 500  # of the likeliest ids; one that isn't among them counts as the last of them


class LlamaCpp:
    """Its server, asked within the process, with ids in place of text."""

    def __init__(self):
        import xllamacpp

        import slmlab
        from slmlab import weights
        from slmlab.hardware import best_threads

        file = next(weights.folder(slmlab.card("smollm2-135m"), "gguf").glob("*.gguf"))
        self.size_bytes = file.stat().st_size
        params = xllamacpp.CommonParams()
        params.model.path, params.n_parallel, params.n_ctx, params.port = str(file), 1, 2048, 0
        params.cpuparams.n_threads = params.cpuparams_batch.n_threads = best_threads()
        self._server, self._ids = xllamacpp.Server(params), []

    def begin(self, ids: list[int]) -> None:
        self._ids = ids
        self._ask(ids, 1, reuse=False)

    def go_on(self, count: int) -> None:
        """It has kept the prompt, but for its last id: one step for each id that it writes."""
        self._ask(self._ids, count, reuse=True)

    def judge(self, ids: list[int]) -> tuple[list[float], list[int]]:
        """One id after the other, each read once: the server keeps what it has read."""
        logprobs, favourites = [], []
        for place in range(1, len(ids)):
            (told,) = self._ask(ids[:place], 1, reuse=True, n_probs=TOP)["choices"][0]["logprobs"]["content"]
            found = {one["id"]: one["logprob"] for one in told["top_logprobs"]}
            logprobs.append(found.get(ids[place], min(found.values())))
            favourites.append(max(found, key=found.get))
        return logprobs, favourites

    def _ask(self, ids: list[int], count: int, *, reuse: bool, **more) -> dict:
        settings = {"temperature": 0, "ignore_eos": True, "n_predict": count, "cache_prompt": reuse}
        return self._server.handle_completions({"prompt": ids, **settings, **more})

    def close(self) -> None:
        self._server = None


CONTESTANTS = {"llama.cpp": LlamaCpp}
