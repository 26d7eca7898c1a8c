"""Foundry as it is: deployments, and the paths that came before today's."""

import pytest

from slmlab.catalog import cards
from tests.live_server import HELLO, ScriptedEngine, error_of, live


@pytest.fixture
def foundry():
    with live(ScriptedEngine(), "foundry") as server:
        yield server


def test_deployments_are_of_models_that_are_still_offered(foundry):
    offered = foundry.profile.models()
    assert "Phi-4-mini-instruct" in offered
    gone = [one.ids.foundry for one in cards().values() if one.ids.foundry and one.family.startswith("Phi-3")]
    assert gone and not set(gone) & set(offered), "each Phi-3 has left Foundry"


def test_the_deployment_in_the_path_is_the_one_that_answers(foundry):
    path = "/openai/deployments/{}/chat/completions?api-version=2024-10-21"
    for body in ({}, {"model": "anything"}):
        answer = foundry.post(path.format("Phi-4-mini-instruct"), messages=HELLO, **body)
        assert answer.json()["model"] == "Phi-4-mini-instruct"
    assert error_of(foundry.post(path.format("Phi-9"), messages=HELLO, model="Phi-4-mini-instruct"), 404)
