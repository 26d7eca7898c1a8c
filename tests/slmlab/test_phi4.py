"""engines/vision and image_tokens on Phi-4-multimodal, whose processor needs torchvision: see run_phi4.py."""

import json
import os
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

import pytest

from course.picture_tokens import image_tokens
from tests.tiny_sight import CROPS

ROOT = Path(__file__).resolve().parents[2]
ASIDE = Path(os.environ.get("SLMLAB_TORCHVISION") or ROOT / ".venv" / "torchvision")


@pytest.fixture(scope="module")
def found(tmp_path_factory) -> dict:
    installed, aside = find_spec("torchvision") is not None, (ASIDE / "torchvision").is_dir()
    if not installed and not aside:
        pytest.skip(f"no torchvision: it is neither installed nor in {ASIDE} (SLMLAB_TORCHVISION names another folder)")
    command = [sys.executable, "-m", "tests.run_phi4", str(tmp_path_factory.mktemp("phi4") / "transformers")]
    command += [] if installed else [str(ASIDE)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr[-3000:]
    return json.loads(done.stdout.splitlines()[-1])


@pytest.fixture(scope="module")
def answers(found) -> dict:
    return found["answers"]


@pytest.fixture(scope="module")
def adapter(found) -> dict:
    if "skipped" in found["adapter"]:
        pytest.skip(found["adapter"]["skipped"])
    return found["adapter"]


def test_load_sees_from_the_folder_that_it_holds_a_model_that_sees(answers):
    assert (answers["engine"], answers["kind"], answers["context"]) == ("VisionEngine", "vision", 4096)


def test_greedy_is_what_transformers_generates_itself(answers):
    assert answers["ids"] == answers["generated"], "of no picture, of one, and of two of different shapes"
    assert len({tuple(ids) for ids in answers["ids"]}) == 3


def test_a_picture_costs_what_its_crops_cost(answers):
    for width, height, tokens in answers["prompt_tokens"]:
        assert tokens - answers["text_tokens"] == image_tokens("phi-4-multimodal", width, height, CROPS).tokens


def test_a_second_turn_reuses_the_cache_and_answers_as_if_read_afresh(answers):
    assert answers["first"] == "ok" and answers["continued"] == answers["afresh"] and answers["reused"] > 400


def test_what_it_can_not_do_is_refused(answers):
    for what, words in (
        ("gaze", "isn't of LLaVA's kind"), ("look", "isn't of LLaVA's kind"), ("mark", "takes for a picture's place"),
        ("thin", "aspect ratio is very extreme"), ("many", "4 pictures among them"),
    ):  # fmt: skip
        assert answers["refused"][what][0] == "BadRequest" and words in answers["refused"][what][1]


def test_the_adapter_beside_the_weights_is_put_on(answers, adapter):
    assert adapter["ids"] == adapter["generated"] != answers["ids"][1], "as peft itself puts it on"
