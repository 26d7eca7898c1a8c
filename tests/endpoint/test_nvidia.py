"""NVIDIA's API: pictures inside the text, errors with title and detail, health and metrics."""

import base64

import pytest
import requests

from endpoint.practice import MOST_CHARACTERS
from tests.live_server import ScriptedEngine, live, png, png_url

SEES = "microsoft/phi-3.5-vision-instruct"
READS = "microsoft/phi-4-mini-instruct"


@pytest.fixture
def server():
    with live(ScriptedEngine(sees=True), "nvidia") as served:
        yield served


def user(text: str) -> list[dict]:
    return [{"role": "user", "content": text}]


def test_pictures_come_inside_the_text_and_keep_their_order(server):
    for tag in ('<img src="{}" />', "<img src='{}'>", '<img  src = "{}"/>'):
        text = f"{tag.format(png_url())} or {tag.format(png_url(png(3, 4)))}?"
        assert server.chat(user(text), model=SEES).status_code == 200
        first, second, rest = server.profile.engine.asked.pop().split("\n")
        assert (first, second, rest.split()) == ("8 x 6", "3 x 4", ["or", "?"]), tag


def test_180000_characters_of_a_picture_are_too_many(server):
    data = png() + bytes(MOST_CHARACTERS)
    fits = data[: MOST_CHARACTERS * 3 // 4 - 3]
    assert len(base64.b64encode(fits)) < MOST_CHARACTERS <= len(base64.b64encode(data[: MOST_CHARACTERS * 3 // 4]))
    assert server.chat(user(f'<img src="{png_url(fits)}" />'), model=SEES).status_code == 200
    answer = server.chat(user(f'<img src="{png_url(data[: MOST_CHARACTERS * 3 // 4])}" />'), model=SEES)
    assert answer.status_code == 413 and "under 180,000 characters" in answer.json()["detail"]


def test_a_damaged_picture_is_refused_and_a_tag_that_is_no_picture_stays_text(server):
    for url in ("data:image/png;base64,AAA", png_url(png()[:30]), "data:image/jpeg;asset_id,123"):
        answer = server.chat(user(f'<img src="{url}" />'), model=SEES)
        assert answer.status_code == 400 and answer.json()["title"] == "Bad Request"
    text = 'What does <img src="a.png"> mean?'
    assert server.chat(user(text), model=READS).status_code == 200
    assert server.profile.engine.asked == [text]
    with live(ScriptedEngine(), "nvidia") as reader:
        answer = reader.chat(user(f'<img src="{png_url()}" />'), model=READS)
    assert answer.status_code == 400 and "reads text only" in answer.json()["detail"]


def test_errors_have_a_title_and_a_detail_and_no_error(server):
    found = [
        (server.chat(headers={}), 401, "Unauthorized", "Header of type `authorization` was missing"),
        (server.chat(headers={"Authorization": "Bearer sk-other"}), 403, "Forbidden", "Authorization failed"),
        (server.chat(model="meta/llama"), 404, "Not Found", "Model 'meta/llama': Not found for account 'practice'"),
    ]
    for answer, status, title, detail in found:
        assert answer.status_code == status
        assert answer.json() == {"status": status, "title": title, "detail": detail}


def test_health_and_metrics_are_those_of_a_container(server):
    for path in ("/v1/health/ready", "/v1/health/live"):
        assert requests.get(server.root + path, timeout=10).json()["message"] == "Service is ready."
    server.chat()
    text = requests.get(server.root + "/v1/metrics", timeout=10).text
    assert 'vllm:generation_tokens_total{model_name="smollm2-135m"} 2.0' in text
    assert server.get("/metrics").status_code == 404
