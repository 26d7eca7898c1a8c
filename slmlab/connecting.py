"""connect(where, model): a model that a service runs, used as one that load() gives.

The top of the road over a network: provider, address, key, engine. A key comes from its own provider's variables only.
"""

from dataclasses import replace

from slmlab.catalog import card
from slmlab.engines.remote import RemoteEngine
from slmlab.errors import BadRequest, ProviderError, UnknownName, nearest, quoted
from slmlab.model_card import Card, Published
from slmlab.places import Endpoint, placed
from slmlab.providers import as_key

SDKS = ("openai", "azure")


def connect(
    where,
    model: str | None = None,
    *,
    sdk: str | None = None,
    url: str | None = None,
    key: str | None = None,
    timeout_s: float = 120,
) -> RemoteEngine:
    """A model that a service runs, used as what load() gives is used.

    `where` is a provider's name ('nvidia'), a URL, an Endpoint or what serve() gives. `model` is a name of the catalog,
    or what the service calls it; None takes the first that it lists. `sdk` is 'openai' or 'azure'.
    """
    key = None if key is None else as_key(key)
    if sdk is not None and sdk not in SDKS:
        raise BadRequest(f"Unknown sdk {quoted(sdk)}. {nearest(str(sdk), list(SDKS))}.")
    if type(timeout_s) not in (int, float) or not 0 < timeout_s <= 3600:
        raise BadRequest(f"timeout_s={timeout_s!r} is out of range: seconds, more than 0 and at most 3600.")
    place = placed(where, url, key)
    engine = _engine(sdk or place.provider.sdk)
    if model is None:
        model = _first_model(engine, place, timeout_s)
    model_id = _model_id(place, model)
    who = place.provider if place.live else replace(place.provider, name=f"{place.provider.name} (practice)")
    return engine(_card(model, model_id), who, place.url, model_id, place.key, timeout_s)


def _model_id(place: Endpoint, model: str | Card) -> str:
    if not isinstance(model, str | Card) or (isinstance(model, str) and not model.strip()):
        raise BadRequest(f"A model's name is text, such as 'phi-4-mini', not {model!r}.")
    found = place.provider.model_id(model)
    old_github = place.provider.id == "github-models" and not place.url.endswith("/inference")
    return found.split("/")[-1] if old_github else found  # its older address knew names without their publisher


def _first_model(engine: type[RemoteEngine], place: Endpoint, timeout_s: float) -> str:
    asking = engine(_card("models", "models"), place.provider, place.url, "", place.key, timeout_s)
    with asking:
        names = asking.models()
    if not names:
        raise ProviderError(
            f"{place.provider.name} at {place.url} lists no model: name one, connect(..., 'phi-4-mini')."
        )
    return names[0]


def _card(model: str | Card, model_id: str) -> Card:
    """The catalog's card of a model, or a bare one for a name that only the service knows."""
    for name in (model, model_id):
        try:
            return card(name)
        except UnknownName:
            continue
    facts = {"maker": "unknown", "family": "unknown", "kind": "text", "licence": "ask the service"}
    return Card(model_id, model_id, **facts, published=Published("not stated"))


def _engine(sdk: str) -> type[RemoteEngine]:
    if sdk == "azure":
        from slmlab.engines.azure import AzureEngine

        return AzureEngine
    from slmlab.engines.openai import OpenAIEngine

    return OpenAIEngine
