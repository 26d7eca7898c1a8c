"""Services that refuse a setting, in the words and shapes of public reports: each with its source and date."""

from collections.abc import Callable

from tests.scripted_server import Answer, answer_json, stream

FORBIDDEN = {"type": "extra_forbidden", "msg": "Extra inputs are not permitted"}


def refusing(**refused: Answer) -> Callable[[dict], Answer]:
    """Refuses a body that holds one of these names, each with its answer, and answers any other."""
    return lambda asked: next((refused[name] for name in asked["body"] if name in refused), stream("Hello"))


def openai_error(param: str | None, says: str, kind: str = "parameter") -> Answer:
    error = {"message": f"Unsupported {kind}: {says}", "type": "invalid_request_error", "param": param}
    return answer_json(400, {"error": error | {"code": f"unsupported_{kind}"}})


# OpenAI, and its models in Foundry (anomalyco/opencode 37964, 2026-07-20): griptape-ai/ComfyUI-Griptape 312,
# 2025-08-22; johny-b/llmcomp 69, 2026-04-20; huggingface/smolagents 1671, 2025-08-11
NOT = "is not supported with this model."
NEW_NAME = openai_error("max_tokens", f"'max_tokens' {NOT} Use 'max_completion_tokens' instead.")
ONE = "'temperature' does not support 0 with this model. Only the default (1) value is supported."
NO_STOP = openai_error("stop", f"'stop' {NOT}")
GPT_5 = refusing(max_tokens=NEW_NAME, temperature=openai_error("temperature", ONE, "value"), stop=NO_STOP)
# BeehiveInnovations/pal-mcp-server 78, 2025-06-18
O_SERIES = refusing(max_tokens=NEW_NAME, temperature=openai_error("temperature", f"'temperature' {NOT}"))
# a vLLM that knows max_tokens alone: voideditor/void 128, 2024-10-28
SAYS = str([FORBIDDEN | {"loc": ("body", "max_completion_tokens"), "input": 8}])
OLD_VLLM = refusing(max_completion_tokens=answer_json(400, {"object": "error", "message": SAYS, "param": None}))
# Mistral: openai/openai-agents-python 442, 2025-04-05
DETAIL = {"detail": [FORBIDDEN | {"loc": ["body", "stream_options", "include_usage"], "input": True}]}
MISTRAL = refusing(stream_options=answer_json(422, {"object": "error", "message": DETAIL, "param": None}))
# Foundry with data of one's own: openai/openai-python 2296, 2025-04-09
ERROR = {"code": 400, "message": "Validation error at #/stream_options: Extra inputs are not permitted"}
FOUNDRY = refusing(stream_options=answer_json(400, {"error": ERROR}))
# NVIDIA, there of penalties: NVIDIA/garak 748, 2024-06-19; of a budget: Alishahryar1/free-claude-code 127, 2026-04-21
FIELD = "body -> seed\n  Extra inputs are not permitted (type=extra_forbidden)"
NO_SEED = answer_json(422, {"title": "Unprocessable Entity", "status": 422, "detail": FIELD})
NVIDIA = refusing(seed=NO_SEED, top_p=answer_json(400, {"message": "Validation: Unsupported parameter(s): top_p"}))
