import re
import traceback
from types import SimpleNamespace

import pytest

from endpoint import practising
from endpoint.practising import practise
from slmlab.connecting import Endpoint, Key, checked_url, connect, provider, providers
from slmlab.errors import BadRequest, NotHere, ProviderError, SlmLabError, UnknownName
from tests.scripted_server import ScriptedServer, answer_json, stream

SECRET = "nvapi-PLANTED-22"


@pytest.fixture(autouse=True)
def bare(monkeypatch):
    """No variable of any provider is set."""
    for one in providers().values():
        for variable in (*one.key_variables, *one.url_variables):
            monkeypatch.delenv(variable, raising=False)


@pytest.fixture
def server():
    made = ScriptedServer(stream("Hello"))
    yield made
    made.close()


@pytest.fixture
def practice(monkeypatch, server):
    """serve() that starts nothing: it gives a running server of ours, and counts."""
    started = []

    def start(profile, **_):
        started.append(profile)
        return SimpleNamespace(
            url=server.url, key=None, profile=profile, model="smollm2-135m", is_running=True, requests=server.requests
        )

    monkeypatch.setattr(practising, "serve", start)
    monkeypatch.setattr(practising, "_practice_servers", {})
    return started


def test_a_name_and_a_key_reach_the_live_service(monkeypatch):
    monkeypatch.setenv("NVIDIA_API_KEY", SECRET)
    model = connect("nvidia", "phi-4-mini")
    assert (model.name, model.model) == ("phi-4-mini", "microsoft/phi-4-mini-instruct")
    assert model.url == "https://integrate.api.nvidia.com/v1" and model.engine == "openai"
    assert SECRET not in repr(model)


@pytest.mark.parametrize("who", ["nvidia", "openai"])
def test_a_missing_key_says_which_and_where_from_and_how_to_go_on_without(who):
    with pytest.raises(NotHere, match=f"{provider(who).key_variables[0]}.*https://.*endpoint\\('{who}'\\)"):
        connect(who, "phi-4-mini")


def test_a_token_of_github_selects_nothing(monkeypatch):
    monkeypatch.setenv("GITHUB_TOKEN", "ghp_1")
    with pytest.raises(NotHere, match="NVIDIA_API_KEY"):
        connect("nvidia", "phi-4-mini")


def test_a_retired_service_names_its_day_and_where_to_go(monkeypatch):
    monkeypatch.setenv("GITHUB_TOKEN", "ghp_1")
    with pytest.raises(ProviderError, match="retired on 2026-07-30.*foundry") as caught:
        connect("github-models", "phi-4-mini")
    assert caught.value.status == 410


def test_a_retired_service_is_still_asked_at_an_address_given_by_hand(server):
    model = connect("github-models", "phi-4-mini", url=server.url, key="ghp_x", sdk="azure")
    assert (model.ask("Hi").text, model.engine) == ("Hello", "azure")


def test_an_older_address_of_github_gets_names_without_their_publisher():
    old = connect("github-models", "phi-4-mini", url="https://models.inference.ai.azure.com/x", key="ghp_x")
    new = connect("github-models", "phi-4-mini", url="http://127.0.0.1:9/inference", key="ghp_x")
    assert (old.model, new.model) == ("Phi-4-mini-instruct", "microsoft/Phi-4-mini-instruct")


@pytest.mark.parametrize("who", ["nvidia", "github-models", "openai", "foundry"])
def test_a_key_of_the_environment_never_goes_to_another_address(who, server, monkeypatch):
    monkeypatch.setenv(provider(who).key_variables[0], SECRET)
    model = connect(who, "phi-4-mini", url=server.url)
    assert model.ask("Hi").text == "Hello"
    assert SECRET not in str(server.requests)


def test_a_provider_may_be_given_as_its_record(server):
    assert connect(provider("nim"), "phi-4-mini", url=server.url).ask("Hi").text == "Hello"


def test_a_url_is_a_place_of_its_own(server):
    assert connect(server.url, "any-name").ask("Hi").text == "Hello"
    assert server.bodies[0]["model"] == "any-name"


def test_no_model_takes_the_first_that_is_listed(server):
    server.answers = [answer_json(200, {"data": [{"id": "first"}, {"id": "second"}]}), stream("Hello")]
    assert connect(server.url).name == "first"


def test_a_server_that_lists_nothing_asks_for_a_name(server):
    server.answers = [answer_json(200, {"data": []})]
    with pytest.raises(ProviderError, match="lists no model"):
        connect(server.url)


@pytest.mark.parametrize("profile", ["nvidia", "local", None])
def test_a_server_of_ones_own_is_connected_to(server, profile):
    own = SimpleNamespace(url=server.url, key=Key("nvapi-x"), profile=profile, model="smollm2-135m")
    assert connect(own, "phi-4-mini").ask("Hi").text == "Hello"
    wanted = "microsoft/phi-4-mini-instruct" if profile == "nvidia" else "phi-4-mini"
    assert server.bodies[0]["model"] == wanted
    assert server.requests[0]["headers"]["authorization"] == "Bearer nvapi-x"


@pytest.mark.parametrize(
    ("variable", "value", "who", "url"),
    [
        ("FOUNDRY_ENDPOINT", "https://r.openai.azure.com", "foundry", "https://r.openai.azure.com/openai/v1"),
        ("AZURE_OPENAI_ENDPOINT", "https://r.openai.azure.com/openai/v1/", "foundry", "https://r.openai.azure.com/openai/v1"),
        ("NIM_BASE_URL", "http://10.0.0.7:8000", "nim", "http://10.0.0.7:8000/v1"),
        ("OLLAMA_HOST", "10.0.0.7", "ollama", "http://10.0.0.7:11434/v1"),
        ("OLLAMA_HOST", "0.0.0.0:9999", "ollama", "http://127.0.0.1:9999/v1"),
        ("OLLAMA_HOST", "https://o.example:443/v1", "ollama", "https://o.example:443/v1"),
        ("SLMLAB_SERVER", "http://127.0.0.1:8080", "local", "http://127.0.0.1:8080/v1"),
        ("OPENAI_BASE_URL", "https://proxy.example/v1", "openai", "https://proxy.example/v1"),
    ],
)  # fmt: skip
def test_an_address_comes_from_its_variable(monkeypatch, variable, value, who, url):
    monkeypatch.setenv(variable, value)
    monkeypatch.setenv((provider(who).key_variables or ("X",))[0], "abcdef")
    assert connect(who, "phi-4-mini" if who != "local" else "x").url == url


def test_an_address_that_is_missing_names_its_variable():
    with pytest.raises(BadRequest, match="FOUNDRY_ENDPOINT.*such as https://YOUR-RESOURCE.*endpoint"):
        connect("foundry", "phi-4-mini")


def test_foundrys_retired_path_is_refused_with_the_one_that_replaced_it():
    with pytest.raises(BadRequest, match="retired on 2026-08-26: use https://r.services.ai.azure.com/openai/v1"):
        connect("foundry", "d", url="https://r.services.ai.azure.com/models", key="k")


@pytest.mark.parametrize(
    "url",
    ["ftp://x", "http://", "https://user:pw@x/v1", "https://x y/v1", "http://x:99999/v1", "https://x/v1?key=1",
     "https://[x/v1", "https://x/\nv1", "file:///etc/passwd", "http://x:0/v1"],
)  # fmt: skip
def test_a_url_that_cannot_be_asked_is_refused(url):
    with pytest.raises(BadRequest) as caught:
        connect(url, "m")
    assert "pw" not in str(caught.value)


@pytest.mark.parametrize("where", [None, 3, "", "nvida", b"nvidia", object()])
def test_a_place_that_is_none_is_refused(where):
    with pytest.raises(SlmLabError):
        connect(where, "m")


def test_a_key_is_not_sent_in_the_clear():
    with pytest.raises(BadRequest, match="use https"):
        connect("http://far.example/v1", "m", key="abcd")
    assert checked_url("http://far.example/v1") == "http://far.example/v1"
    assert connect("nim", "phi-4-mini", url="http://far.example", key="abcd").url == "http://far.example/v1"


@pytest.mark.parametrize(
    "options",
    [{"sdk": "curl"}, {"timeout_s": 0}, {"timeout_s": "5"}, {"key": 5}, {"url": 5}, {"timeout_s": float("nan")}],
)
def test_an_option_that_makes_no_sense_is_refused(options):
    with pytest.raises(BadRequest):
        connect("nim", "phi-4-mini", **({"url": "http://x"} | options))


@pytest.mark.parametrize("model", ["", "  ", 3, b"m"])
def test_a_model_that_is_no_name_is_refused(model, server):
    with pytest.raises(BadRequest, match="name is text"):
        connect(server.url, model)


def test_a_model_that_isnt_offered_is_refused(monkeypatch):
    monkeypatch.setenv("NVIDIA_API_KEY", SECRET)
    with pytest.raises(UnknownName, match="has no gpt-4"):
        connect("nvidia", "gpt-4")


def test_a_bad_key_shows_in_no_local_of_our_frames():
    try:
        connect("ftp://x", "m", key=SECRET)
    except BadRequest as fault:
        told = traceback.TracebackException.from_exception(fault, capture_locals=True)
        assert SECRET not in "".join(told.format()).replace(f"SECRET = '{SECRET}'", "")


def test_an_address_beside_an_address_is_refused_so_that_no_key_goes_astray(monkeypatch, server):
    live = Endpoint(provider("nvidia"), "https://x.example/v1", Key(SECRET))
    for where in (live, "https://x.example/v1"):
        with pytest.raises(BadRequest, match="has an address already"):
            connect(where, "m", url=server.url)
    assert server.requests == []


# practise()


@pytest.mark.parametrize(
    ("who", "why"),
    [
        ("nvidia", "NVIDIA_API_KEY isn't set"),
        ("github-models", "GitHub Models was retired on 2026-07-30"),
        ("foundry", "FOUNDRY_API_KEY or .* isn't set"),
        ("nim", "NIM_BASE_URL isn't set"),
        ("openai", "OPENAI_API_KEY isn't set"),
    ],
)
def test_without_a_key_there_is_a_practice_server_and_a_line_that_says_so(practice, capsys, who, why):
    place = practise(who)
    assert not place.live and place.provider.id == who
    said = capsys.readouterr().out
    assert said.count("\n") == 1 and "its answers come from smollm2-135m" in said
    assert re.match(why, said)
    model = connect(place, "phi-4-mini")
    assert model.ask("Hi").text == "Hello"
    assert "(practice) at http://127" in repr(model)


def test_with_a_key_the_same_line_reaches_the_live_service(monkeypatch, practice, capsys):
    monkeypatch.setenv("NVIDIA_API_KEY", SECRET)
    place = practise("nvidia")
    assert place.live and place.url.startswith("https://") and practice == []
    assert SECRET not in repr(place) + str(place) + capsys.readouterr().out
    assert connect(place, "phi-4-mini").url == place.url


def test_practice_by_hand_never_uses_the_real_key(monkeypatch, practice, server):
    monkeypatch.setenv("NVIDIA_API_KEY", SECRET)
    assert connect(practise("nvidia", practice=True), "phi-4-mini").ask("Hi").text == "Hello"
    assert SECRET not in str(server.requests)


def test_live_by_hand_wants_a_key(practice):
    with pytest.raises(NotHere):
        practise("nvidia", practice=False)


def test_one_practice_server_is_started_for_each_protocol(practice):
    for who in ("nvidia", "nim", "nvidia", "foundry", "openai"):
        practise(who, practice=True)
    assert practice == ["nvidia", "foundry", "local"]


def test_ollama_is_live_when_it_listens(monkeypatch, practice, server):
    monkeypatch.setattr(practising, "_listens", lambda url: True)
    assert practise("ollama").live
    monkeypatch.setattr(practising, "_listens", lambda url: False)
    assert not practise("ollama").live


def test_a_record_of_an_endpoint_hides_its_key():
    assert SECRET not in repr(Endpoint(provider("nvidia"), "https://x", Key(SECRET)))


# Where keys go


def test_a_key_of_foundry_goes_to_no_address_but_the_one_that_stands_beside_it(monkeypatch):
    monkeypatch.setenv("FOUNDRY_API_KEY", SECRET)
    with pytest.raises(NotHere, match="give key="):
        connect("foundry", "phi-4-mini", url="https://attacker.example/v1")
    monkeypatch.setenv("FOUNDRY_ENDPOINT", "https://contoso.openai.azure.com")
    with pytest.raises(NotHere, match="no other address"):
        connect("foundry", "phi-4-mini", url="https://attacker.example/v1")
    own = connect("foundry", "phi-4-mini", url="https://contoso.openai.azure.com/openai/v1")
    assert own._place.key == SECRET
    own.close()


@pytest.mark.parametrize(
    ("value", "url"),
    [
        ("https://o.example", "https://o.example:443/v1"),
        ("http://o.example", "http://o.example:80/v1"),
        ("o.example", "http://o.example:11434/v1"),
        ("::1", "http://[::1]:11434/v1"),
        ("0.0.0.0:5", "http://127.0.0.1:5/v1"),
        ("'127.0.0.1:9'", "http://127.0.0.1:9/v1"),
        ("http://h.example:7/ollama/", "http://h.example:7/ollama/v1"),
    ],
)
def test_ollamas_own_variable_is_read_as_ollama_reads_it(monkeypatch, value, url):
    monkeypatch.setenv("OLLAMA_HOST", value)
    assert connect("ollama", "m").url == url


@pytest.mark.parametrize("value", ["0.0.0.0:bad", "http://[", "user:pw@host"])
def test_a_value_of_ollamas_variable_that_is_no_place_is_refused(monkeypatch, value):
    monkeypatch.setenv("OLLAMA_HOST", value)
    with pytest.raises(BadRequest) as caught:
        connect("ollama", "m")
    assert "pw" not in str(caught.value)


@pytest.mark.parametrize(
    ("url", "words"),
    [
        ("https://x.example/v1/chat/completions", "ends before /chat/completions: https://x.example/v1"),
        ("https://x.example/v1/completions", "https://x.example/v1"),
    ],
)
def test_an_address_with_the_path_of_a_call_is_told_its_base(url, words):
    with pytest.raises(BadRequest, match=words):
        connect(url, "m", key="k")


def test_a_projects_address_is_told_the_resources(monkeypatch):
    with pytest.raises(BadRequest, match="https://x.services.ai.azure.com/openai/v1"):
        connect("foundry", "m", url="https://x.services.ai.azure.com/api/projects/p", key="k")


def test_the_text_beside_an_address_is_read(server):
    server.answers = [answer_json(200, {"data": []})]
    place = Endpoint(provider("local"), server.url, Key(SECRET))
    assert place.read("/models") == '{"data": []}'
    assert server.requests[0]["path"] == "/v1/models"
    assert server.requests[0]["headers"]["authorization"] == f"Bearer {SECRET}"
    server.close()
    with pytest.raises(ProviderError, match="can't be read"):
        Endpoint(provider("local"), "http://127.0.0.1:1/v1").read("/models")
