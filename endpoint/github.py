"""Practice profile of GitHub Models as it was, and the content filter that Azure puts around every answer.

The filter is Foundry's too: a verdict in every answer, and an opening chunk with the prompt's.
"""

from starlette.requests import Request

from endpoint.limits import Window, filter_results, is_stopped
from endpoint.openai_protocol import Ask, Refusal
from endpoint.profile import Profile, given_keys
from slmlab.catalog import cards


class FilteredProfile(Profile):
    """A service of Microsoft's: its content filter."""

    # in every answer, whose prompt was let through
    prompt_verdict = {
        "prompt_filter_results": [
            {"prompt_index": 0, "content_filter_results": filter_results("", with_jailbreak=True)}
        ]
    }

    def check(self, ask: Ask, model: str, request: Request) -> None:
        prompt = "\n".join(message.content for message in ask.messages)
        if is_stopped(prompt):
            refusal = Refusal(400, "content_filter", "The response was filtered: the prompt triggered the content "
                              "management policy. Change your prompt and try again.", param="prompt")  # fmt: skip
            refusal.results = filter_results(prompt, with_jailbreak=True)
            raise refusal

    def verdict(self, text: str) -> dict:
        return {"content_filter_results": filter_results(text, with_jailbreak=False)}

    def is_stopped(self, text: str) -> bool:
        return is_stopped(text)

    def error(self, refusal: Refusal) -> dict:
        error = {"code": refusal.code, "message": refusal.message}
        if refusal.code == "content_filter":
            inner = {"code": "ResponsibleAIPolicyViolation", "content_filter_result": refusal.results}
            error |= {"type": None, "param": "prompt", "status": 400, "innererror": inner}
        return {"error": error}


class GitHubModels(FilteredProfile):
    """GitHub Models until 2026-07-30: a personal token, ids with and without a publisher, a free tier's limits."""

    name = "github-models"
    title = "GitHub Models"
    base = "/inference"
    chat_paths = ("/inference/chat/completions", "/chat/completions")  # models.github.ai, and the older host
    model_paths = ("/inference/models", "/models")
    other_paths = ()
    per_minute, per_day = 15, 150
    most_tokens = 8000

    def models(self) -> list[str]:
        """The newer host's ids: publisher and name."""
        ids = [one.ids.github for one in cards().values() if one.ids.github]
        return [one if "/" in one else f"microsoft/{one}" for one in ids]

    def find_model(self, asked: str | None) -> str:
        return asked or self.models()[0]  # judged in check(), where the path tells which host was meant

    def authorize(self, request: Request) -> None:
        if self.retired:
            raise Refusal(410, "github_models_retirement_brownout", "GitHub Models is temporarily unavailable as part "
                          "of a scheduled retirement brownout.")  # fmt: skip
        keys = given_keys(request)
        if not keys or self.is_wrong_key(request):
            raise Refusal(401, "unauthorized", "Bad credentials")
        if any("no-models" in one for one in keys):
            raise Refusal(401, "unauthorized", "The `models` permission is required to access this endpoint")

    def check(self, ask: Ask, model: str, request: Request) -> None:
        short = model.split("/")[-1]
        is_newer = request.url.path.startswith("/inference")
        if model not in (self.models() if is_newer else [one.split("/")[-1] for one in self.models()]):
            raise Refusal(404, "unknown_model", f"Unknown model: {model}")
        text = "\n".join(message.content for message in ask.messages)
        if len(self.engine.format.ids(text[: 64 * self.most_tokens])) > self.most_tokens:  # enough to say: too much
            raise Refusal(413, "tokens_limit_reached", f"Request body too large for {short} model. "
                          f"Max size: {self.most_tokens} tokens.")  # fmt: skip
        super().check(ask, model, request)

    def over_limit(self, name: str, window: Window, wait: int) -> Refusal:
        kind = f"UserByModelBy{name}"
        words = f"Rate limit of {window.most} per {window.seconds:g}s exceeded for {kind}. "
        return Refusal(429, "RateLimitReached", f"{words}Please wait {wait} seconds before retrying.",
                       headers={"retry-after": str(wait), "x-ratelimit-type": kind})  # fmt: skip

    def error(self, refusal: Refusal) -> dict:
        body = super().error(refusal)
        if refusal.status != 410 and refusal.code != "content_filter":
            body["error"]["details"] = refusal.message
        return body
