"""Foundry as it is: deployments, and the paths that came before today's."""

import pytest

from slmlab.catalog import cards
from tests.live_server import HELLO, ScriptedEngine, live


@pytest.fixture
def foundry():
    with live(ScriptedEngine(), "foundry") as server:
        yield server


def error(answer, status: int) -> dict:
    assert answer.status_code == status, answer.text
    return answer.json()["error"]


def test_deployments_are_of_models_that_are_still_offered(foundry):
    offered = foundry.profile.models()
    assert "Phi-4-mini-instruct" in offered
    gone = [one.ids.foundry for one in cards().values() if one.ids.foundry and one.family.startswith("Phi-3")]
    assert gone and not set(gone) & set(offered), "each Phi-3 has left Foundry"


def test_a_deployment_that_is_not_there_says_so(foundry):
    for model in ("Phi-3.5-mini-instruct", "smollm2-135m"):
        said = error(foundry.chat(model=model), 404)
        assert said["code"] == "DeploymentNotFound" and "does not exist" in said["message"]
    assert error(foundry.post(messages=HELLO), 400)["code"] == "BadRequest"


def test_the_deployment_in_the_path_is_the_one_that_answers(foundry):
    path = "/openai/deployments/{}/chat/completions?api-version=2024-10-21"
    for body in ({}, {"model": "anything"}):
        answer = foundry.post(path.format("Phi-4-mini-instruct"), messages=HELLO, **body)
        assert answer.json()["model"] == "Phi-4-mini-instruct"
    assert error(foundry.post(path.format("Phi-9"), messages=HELLO, model="Phi-4-mini-instruct"), 404)


def test_its_key_comes_in_either_header(foundry):
    assert foundry.chat(headers={"api-key": "x"}).status_code == 200
    assert foundry.chat(headers={"Authorization": "Bearer x"}).status_code == 200
    said = error(foundry.chat(headers={}), 401)
    assert said["code"] == "401" and "Access denied" in said["message"]


def test_its_limit_says_what_is_left():
    with live(ScriptedEngine(), "foundry", per_minute=1) as foundry:
        assert foundry.chat().status_code == 200
        answer = foundry.chat()
        assert error(answer, 429)["code"] == "429" and answer.headers["x-ratelimit-remaining-requests"] == "0"
