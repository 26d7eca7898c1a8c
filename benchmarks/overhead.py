"""What slmlab costs on top of ONNX Runtime GenAI: the same model, ids and number of tokens, run in turn.

The raw loop is the runtime's own: append_tokens, then generate_next_token and its tokenizer stream for each token.
slmlab's stream does the same work and gives Token records with text and times. Goal: a ratio of 1.02 or less.
"""

import gc
import statistics
from time import perf_counter

import onnxruntime_genai as og
from measure import finish, machine_in_words, options, spread

import slmlab
from slmlab.records import Sampling, Token

PROMPT = "Explain how a lighthouse works, and why ships still need one today. Write several paragraphs."


def raw_loop(model, ids: list[int], tokens: int, capacity: int) -> tuple[float, list[int]]:
    """Seconds and ids of the runtime's own loop; the tokenizer is made outside, as a program would."""
    began = perf_counter()
    params = og.GeneratorParams(model._model)
    params.set_search_options(do_sample=False, max_length=capacity)
    generator = og.Generator(model._model, params)
    stream = TOKENIZERS[model].create_stream()
    generator.append_tokens(ids)
    found, pieces = [], []
    while len(found) < tokens:
        generator.generate_next_token()
        found.append(int(generator.get_next_tokens()[0]))
        pieces.append(stream.decode(found[-1]))
    return perf_counter() - began, found


def slmlab_stream(model, ids: list[int], tokens: int) -> tuple[float, list[int]]:
    model.forget()  # no help from the KV cache of the run before
    began = perf_counter()
    found = [event.id for event in model.stream(ids, Sampling(max_tokens=tokens)) if isinstance(event, Token)]
    return perf_counter() - began, found


TOKENIZERS = {}


def main() -> None:
    quick = options(__doc__).quick
    model = slmlab.load()
    TOKENIZERS[model] = og.Tokenizer(model._model)
    ids = model.ids(model.prompt(PROMPT))
    tokens, pairs = (64, 15) if quick else (128, 41)
    raw, ours, ratios = [], [], []
    raw_loop(model, ids, tokens, 1024), slmlab_stream(model, ids, tokens)  # warm up
    for pair in range(pairs):
        gc.collect()
        sides = [lambda: raw_loop(model, ids, tokens, 1024), lambda: slmlab_stream(model, ids, tokens)]
        order = (0, 1) if pair % 2 else (1, 0)
        timed = {side: sides[side]() for side in order}
        assert timed[0][1] == timed[1][1], "both sides write the same tokens"
        raw.append(timed[0][0])
        ours.append(timed[1][0])
        ratios.append(timed[1][0] / timed[0][0])
    print(f"{machine_in_words()}; prompt of {len(ids)} tokens, {tokens} new tokens, {pairs} pairs")
    print(f"raw loop  {spread(raw)} s\nslmlab    {spread(ours)} s\nratio     {spread(ratios)}")
    finish(ratio=statistics.median(ratios), raw_s=statistics.median(raw), slmlab_s=statistics.median(ours))


if __name__ == "__main__":
    main()
