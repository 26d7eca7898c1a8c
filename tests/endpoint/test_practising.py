"""practise(): the live service where it can be asked, else a practice server, and one line that says which and why."""

from types import SimpleNamespace

import pytest

from endpoint import practise, start
from slmlab.errors import UnknownName


@pytest.fixture(autouse=True)
def started(monkeypatch, bare):
    """A practice server is one that starts no process; gives their profiles."""
    made = []

    def serve(profile, record):
        made.append(profile)
        url = f"http://127.0.0.1:{len(made)}/v1"
        return SimpleNamespace(url=url, key=None, model="smollm2-135m", is_running=True, record=record)

    monkeypatch.setattr(start, "serve", serve)
    monkeypatch.setattr(start, "_practice_servers", {})
    return made


def test_it_practises_where_the_service_is_gone_or_wants_what_is_not_set(started, capsys):
    for name, why, protocol in (
        ("github-models", "GitHub Models was retired on 2026-07-30", "the protocol of GitHub Models"),
        ("nvidia", "NVIDIA_API_KEY isn't set", "the protocol of NVIDIA's hosted API"),
        ("nim", "NIM_BASE_URL isn't set", "the protocol of a NIM container of your own"),
        ("openai", "OPENAI_API_KEY isn't set", "OpenAI's protocol"),
    ):
        place = practise(name)
        assert not place.live and place.server.record, "a lesson shows what went over the wire"
        answers = "its answers come from smollm2-135m."
        assert capsys.readouterr().out == f"{why}: a practice server at {place.url} speaks {protocol}; {answers}\n"
    assert started == ["github-models", "nvidia", "local"], "one server for each protocol"


def test_a_key_or_an_address_leads_to_the_live_service(monkeypatch, started, capsys):
    monkeypatch.setenv("NVIDIA_API_KEY", "nvapi-planted")
    assert practise("nvidia").live
    assert capsys.readouterr().out == "NVIDIA's hosted API, live at https://integrate.api.nvidia.com/v1.\n"
    monkeypatch.setenv("NIM_BASE_URL", "http://10.0.0.7:8000")
    assert practise("nim").url == "http://10.0.0.7:8000/v1" and not started
    assert practise("http://127.0.0.1:9/v1").live and "127.0.0.1:9, live at" in capsys.readouterr().out, "or by a URL"
    assert not practise("nvidia", practice=True).live, "and by hand it practises all the same"
    assert "practice=True: a practice server" in capsys.readouterr().out
    assert not practise("http://127.0.0.1:9/v1", practice=True).live, "a URL's protocol is practised too"


def test_an_unknown_service_is_refused_and_one_of_this_machine_is_live_where_it_listens(monkeypatch):
    for listens in (False, True):
        monkeypatch.setattr(start, "_listens", lambda url, listens=listens: listens)
        assert practise("ollama").live == listens
    with pytest.raises(UnknownName, match="nvidia"):
        practise("nvidea")
