"""serving/page: what a browser sees at the root."""

import re
import shlex
from html import unescape

import pytest
import requests

from endpoint.page import page, sentence
from endpoint.practice import PROFILES
from endpoint.queue import Desk
from tests.live_server import ScriptedEngine, live


@pytest.fixture(params=[name for name in PROFILES if name != "ollama"])  # which has a root of its own
def served(request):
    with live(ScriptedEngine("Hi"), request.param) as server:
        yield server


@pytest.mark.parametrize("name", PROFILES)
def test_the_sentence_says_who_answers_and_what_is_imitated(name):
    profile = PROFILES[name](Desk(ScriptedEngine()))
    said = sentence(profile)
    assert "smollm2-135m (int8), running on this machine" in said
    assert ("is imitated" in said) == (name != "local")
    assert name == "local" or profile.title in said


def test_the_page_is_there_with_its_sentence_and_its_models(served):
    answer = requests.get(served.root, timeout=10)
    assert answer.headers["content-type"].startswith("text/html")
    text = unescape(answer.text)
    assert sentence(served.profile) in text and served.url in text
    assert all(f"<code>{one}</code>" in text for one in served.profile.models())


def test_the_call_on_the_page_works_as_it_stands(served):
    text = unescape(re.search(r"<pre>(.*?)</pre>", requests.get(served.root, timeout=10).text)[1])
    words = shlex.split(text)
    assert words[0] == "curl"
    headers = dict(words[place + 1].split(": ") for place, one in enumerate(words) if one == "-H")
    if "Authorization" in headers:
        headers["Authorization"] = served.headers["Authorization"]
    answer = requests.post(words[1], data=words[words.index("-d") + 1], headers=headers, timeout=10)
    assert answer.status_code == 200 and answer.json()["choices"][0]["message"]["content"] == "Hi"


def test_each_path_on_the_page_is_one_that_answers(served):
    text = requests.get(served.root, timeout=10).text
    paths = [unescape(one) for one in re.findall(r"<li><code>(.*?)</code></li>", text)]
    assert len(paths) >= 4
    for path in paths:
        assert served.get(path.replace("{deployment}", served.model)).status_code in (200, 405), path


def test_a_name_cannot_become_markup():
    profile = PROFILES["local"](Desk(ScriptedEngine()))
    profile.engine.name = "<script>alert(1)</script>"
    text = page(profile, "http://127.0.0.1:1")
    assert "<script" not in text and "&lt;script&gt;" in text
