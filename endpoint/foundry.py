"""Practice profile of Microsoft Foundry: a resource with deployments, whose names are what a client calls the model."""

from datetime import date

from starlette.requests import Request

from endpoint.github import FilteredProfile
from endpoint.limits import Window
from endpoint.openai_protocol import Refusal
from endpoint.profile import given_keys
from slmlab.catalog import cards


class Foundry(FilteredProfile):
    """Today's protocol, and two that came before it."""

    name = "foundry"
    title = "Microsoft Foundry"
    base = "/openai/v1"
    # today's; the older one with the deployment in the path; and the one that azure-ai-inference used
    chat_paths = ("/openai/v1/chat/completions", "/openai/deployments/{deployment}/chat/completions",
                  "/models/chat/completions")  # fmt: skip
    model_paths = ("/openai/v1/models", "/openai/models")
    other_paths = ("responses", "embeddings")
    per_minute = 60

    def models(self) -> list[str]:
        """A deployment for each model that Foundry still offers, named as the model."""
        return [one.ids.foundry for one in cards().values() if one.ids.foundry and not _has_left(one)]

    def find_model(self, asked: str | None) -> str:
        if asked is None:
            raise Refusal(400, "BadRequest", "model is missing: it is the name of a deployment.", param="model")
        if self.retired or asked not in self.models():
            raise Refusal(404, "DeploymentNotFound", "The API deployment for this resource does not exist. If you "
                          "created the deployment within the last 5 minutes, please wait and try again.")  # fmt: skip
        return asked

    def authorize(self, request: Request) -> None:
        if not given_keys(request) or self.is_wrong_key(request):
            raise Refusal(401, "401", "Access denied due to invalid subscription key or wrong API endpoint. Provide a "
                          "valid key for an active subscription and a correct endpoint for your resource.")  # fmt: skip

    def over_limit(self, name: str, window: Window, wait: int) -> Refusal:
        words = f"Requests to this deployment have exceeded its rate limit. Please retry after {wait} seconds."
        return Refusal(429, "429", words, headers={"Retry-After": str(wait), "x-ratelimit-remaining-requests": "0"})


def _has_left(card) -> bool:
    today = date.today()
    return any("Retired from Microsoft Foundry" in one.text and one.date <= today for one in card.status)
