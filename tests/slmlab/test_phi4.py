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


def test_greedy_is_what_transformers_generates_itself(found):
    assert found["ids"] == found["generated"], "of no picture, of one, and of two of different shapes"
    assert len({tuple(ids) for ids in found["ids"]}) == 3


def test_a_picture_costs_what_its_crops_cost(found):
    for width, height, tokens in found["prompt_tokens"]:
        assert tokens - found["text_tokens"] == image_tokens("phi-4-multimodal", width, height, CROPS).tokens


def test_the_adapter_beside_the_weights_is_put_on(found):
    adapter = found["adapter"]
    assert adapter["ids"] == adapter["generated"] != found["ids"][1], "as peft itself puts it on"
