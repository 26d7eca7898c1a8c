"""Practice profiles of Microsoft's two services: GitHub Models as it was, and Foundry.

Both stand on Azure's inference protocol: content filter results in every answer, and an opening chunk with none.
"""

import math
from datetime import date

from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from endpoint.limits import Window, filter_results, is_stopped
from endpoint.openai_protocol import Ask, Refusal
from endpoint.profile import Profile, given_keys
from slmlab.catalog import cards


class AzureProfile(Profile):
    """What the two have in common: the content filter, and pictures in messages."""

    def check(self, ask: Ask, model: str, request: Request) -> None:
        prompt = ask.text or "\n".join(message.content for message in ask.messages)
        if is_stopped(prompt):
            raise Filtered(filter_results(prompt, with_jailbreak=True))

    def cut(self, text: str) -> bool:
        return is_stopped(text)

    def opening_chunks(self, model: str) -> list[dict]:
        return [{"choices": [], "created": 0, "id": "", "model": "", "object": "",
                 "prompt_filter_results": self._prompt_results()}]  # fmt: skip

    def decorated(self, answer: dict, stopped: str = "") -> dict:
        for choice in answer.get("choices", ()):
            if choice.get("finish_reason") is None and not _text(choice):
                continue  # a chunk without text has nothing to judge
            choice["content_filter_results"] = filter_results(stopped or _text(choice), with_jailbreak=False)
        if "message" in (answer.get("choices") or [{}])[0]:
            answer["prompt_filter_results"] = self._prompt_results()
        return answer

    def _prompt_results(self) -> list[dict]:
        return [{"prompt_index": 0, "content_filter_results": filter_results("", with_jailbreak=True)}]

    def filtered_error(self, refusal: "Filtered") -> dict:
        inner = {"code": "ResponsibleAIPolicyViolation", "content_filter_result": refusal.results}
        return {"error": {"message": refusal.message, "type": None, "param": "prompt", "code": "content_filter",
                          "status": 400, "innererror": inner}}  # fmt: skip


class Filtered(Refusal):
    """A prompt that the content filter stopped, with its verdict."""

    def __init__(self, results: dict):
        super().__init__(400, "content_filter", "The response was filtered: the prompt triggered the content "
                         "management policy. Change your prompt and try again.", param="prompt")  # fmt: skip
        self.results = results


def _text(choice: dict) -> str:
    return (choice.get("message") or choice.get("delta") or choice).get("content") or choice.get("text") or ""


class GitHubModels(AzureProfile):
    """GitHub Models until 2026-07-30: a personal token, ids with and without a publisher, a free tier's limits."""

    name = "github-models"
    title = "GitHub Models"
    base = "/inference"
    chat_paths = ("/inference/chat/completions", "/chat/completions")  # models.github.ai, and the older host
    completion_paths = ()
    model_paths = ("/inference/models", "/models")
    most_tokens = 8000
    day_s = 86_400

    def __init__(self, desk, key=None, switches=None):
        super().__init__(desk, key, switches)
        self._minute = Window(self.switches.per_minute or 15, self.switches.minute_s)
        self._day = Window(self.switches.per_day or 150, self.day_s)

    def models(self) -> list[str]:
        """The newer host's ids: publisher and name."""
        return [one if "/" in one else f"microsoft/{one}" for one in self._ids()]

    def _ids(self) -> list[str]:
        return [one.ids.github for one in cards().values() if one.ids.github]

    def find_model(self, asked: str | None) -> str:
        return asked or self.models()[0]  # judged in check(), where the path tells which host was meant

    def authorize(self, request: Request) -> None:
        if self.switches.retired:
            raise Refusal(410, "github_models_retirement_brownout", "GitHub Models is temporarily unavailable as part "
                          "of a scheduled retirement brownout.")  # fmt: skip
        keys = given_keys(request)
        if not keys or (self.key is not None and not self.has_key(request)):
            raise Refusal(401, "unauthorized", "Bad credentials")
        if any("no-models" in one for one in keys):
            raise Refusal(401, "unauthorized", "The `models` permission is required to access this endpoint")

    def check(self, ask: Ask, model: str, request: Request) -> None:
        bare = [one.split("/")[-1] for one in self._ids()]
        known = self.models() if request.url.path.startswith("/inference") else bare
        if model not in known:
            raise Refusal(404, "unknown_model", f"Unknown model: {model}")
        short = model.split("/")[-1]
        text = "\n".join(message.content for message in ask.messages)
        size = len(self.engine.format.ids(text[: 64 * self.most_tokens]))  # enough to say that it is too much
        if size > self.most_tokens:
            raise Refusal(413, "tokens_limit_reached",
                          f"Request body too large for {short} model. Max size: {self.most_tokens} tokens."
                          )  # fmt: skip
        for window, kind in ((self._minute, "UserByModelByMinute"), (self._day, "UserByModelByDay")):
            self._limit(window, kind, short)
        super().check(ask, model, request)
        self._minute.count(short)
        self._day.count(short)

    def _limit(self, window: Window, kind: str, model: str) -> None:
        if (wait := math.ceil(window.wait(model))) > 0:
            raise Refusal(429, "RateLimitReached", f"Rate limit of {window.most} per {window.seconds:g}s exceeded for "
                          f"{kind}. Please wait {wait} seconds before retrying.",
                          headers={"retry-after": str(wait), "x-ratelimit-type": kind})  # fmt: skip

    def error(self, refusal: Refusal) -> dict:
        if isinstance(refusal, Filtered):
            return self.filtered_error(refusal)
        details = {} if refusal.status == 410 else {"details": refusal.message}
        return {"error": {"code": refusal.code, "message": refusal.message, **details}}

    def extra_routes(self) -> list[Route]:
        return [Route("/catalog/models", self._catalog)]

    async def _catalog(self, request: Request) -> Response:
        self.authorize(request)
        rows = [{"id": id, "name": id.split("/")[-1], "publisher": "Microsoft", "rate_limit_tier": "low",
                 "limits": {"max_input_tokens": self.most_tokens, "max_output_tokens": 4000}}
                for id in self.models()]  # fmt: skip
        return JSONResponse(rows)


class Foundry(AzureProfile):
    """Microsoft Foundry: a resource with deployments, whose names are what a client calls the model."""

    name = "foundry"
    title = "Microsoft Foundry"
    base = "/openai/v1"
    # today's; the older one with the deployment in the path; and the one that azure-ai-inference used
    chat_paths = ("/openai/v1/chat/completions", "/openai/deployments/{deployment}/chat/completions",
                  "/models/chat/completions")  # fmt: skip
    completion_paths = ("/openai/v1/completions", "/openai/deployments/{deployment}/completions")
    model_paths = ("/openai/v1/models", "/openai/models")

    def __init__(self, desk, key=None, switches=None):
        super().__init__(desk, key, switches)
        self._minute = Window(self.switches.per_minute or 60, self.switches.minute_s)

    def models(self) -> list[str]:
        """A deployment for each model that Foundry still offers, named as the model."""
        today = date.today()
        return [one.ids.foundry for one in cards().values() if one.ids.foundry and not _left_foundry(one, today)]

    def find_model(self, asked: str | None) -> str:
        if asked is None:
            raise Refusal(400, "BadRequest", "model is missing: it is the name of a deployment.", param="model")
        if self.switches.retired or asked not in self.models():
            raise Refusal(404, "DeploymentNotFound", "The API deployment for this resource does not exist. If you "
                          "created the deployment within the last 5 minutes, please wait and try again.")  # fmt: skip
        return asked

    def authorize(self, request: Request) -> None:
        if not given_keys(request) or (self.key is not None and not self.has_key(request)):
            raise Refusal(401, "401", "Access denied due to invalid subscription key or wrong API endpoint. Provide a "
                          "valid key for an active subscription and a correct endpoint for your resource.")  # fmt: skip

    def check(self, ask: Ask, model: str, request: Request) -> None:
        if (wait := math.ceil(self._minute.wait(model))) > 0:
            headers = {"Retry-After": str(wait), "x-ratelimit-remaining-requests": "0"}
            words = f"Requests to this deployment have exceeded its rate limit. Please retry after {wait} seconds."
            raise Refusal(429, "429", words, headers=headers)
        super().check(ask, model, request)
        self._minute.count(model)

    def error(self, refusal: Refusal) -> dict:
        if isinstance(refusal, Filtered):
            return self.filtered_error(refusal)
        return {"error": {"code": refusal.code, "message": refusal.message}}


def _left_foundry(card, today: date) -> bool:
    return any("Retired from Microsoft Foundry" in one.text and one.date <= today for one in card.status)
