"""practise(): the live service where its key is set, else a practice server, and one line that says which."""

import re
from types import SimpleNamespace

import pytest

from endpoint import practising
from endpoint.practising import practise
from slmlab.connecting import connect, services
from slmlab.errors import NotHere
from tests.scripted_server import ScriptedServer, stream

SECRET = "nvapi-PLANTED-22"


@pytest.fixture
def practice(monkeypatch):
    """serve() that starts nothing: it gives a running server of ours, and notes the profiles."""
    for one in services().values():
        for variable in (*one.key_variables, *one.url_variables):
            monkeypatch.delenv(variable, raising=False)
    server = ScriptedServer(stream("Hello"))
    server.started = []

    def start(profile, **_):
        server.started.append(profile)
        return SimpleNamespace(url=server.url, key=None, profile=profile, model="smollm2-135m", is_running=True)

    monkeypatch.setattr(practising, "serve", start)
    monkeypatch.setattr(practising, "_practice_servers", {})
    yield server
    server.close()


def test_without_a_key_there_is_a_practice_server_and_a_line_that_says_so(practice, capsys):
    reasons = {
        "nvidia": "NVIDIA_API_KEY isn't set",
        "github-models": "GitHub Models was retired on 2026-07-30",
        "foundry": "FOUNDRY_API_KEY or .* isn't set",
        "nim": "NIM_BASE_URL isn't set",
    }
    for who, why in reasons.items():
        place = practise(who)
        said = capsys.readouterr().out
        assert not place.live and re.match(why, said)
        assert said.count("\n") == 1 and "its answers come from smollm2-135m" in said
        model = connect(place, "phi-4-mini")
        assert model.ask("Hi").text == "Hello" and "(practice) at http://127" in repr(model)
    assert practice.started == ["nvidia", "github-models", "foundry"], "one server for each protocol"


def test_with_a_key_the_same_line_reaches_the_live_service(practice, monkeypatch, capsys):
    monkeypatch.setenv("NVIDIA_API_KEY", SECRET)
    place = practise("nvidia")
    assert place.live and place.url.startswith("https://") and practice.started == []
    assert SECRET not in repr(place) + str(place) + capsys.readouterr().out


def test_practice_by_hand_never_uses_the_real_key_and_live_by_hand_wants_one(practice, monkeypatch):
    with pytest.raises(NotHere):
        practise("nvidia", practice=False)
    monkeypatch.setenv("NVIDIA_API_KEY", SECRET)
    assert connect(practise("nvidia", practice=True), "phi-4-mini").ask("Hi").text == "Hello"
    assert SECRET not in str(practice.requests)


def test_ollama_is_live_when_it_listens(practice, monkeypatch):
    for listens in (True, False):
        monkeypatch.setattr(practising, "_listens", lambda url, listens=listens: listens)
        assert practise("ollama").live is listens
