"""The files of lesson 07 that start a container: valid, in agreement, explained line by line, without keys."""

import re
import shlex
import tomllib

import nbformat
import yaml

from endpoint.practice import Nvidia
from endpoint.profile import Telemetry
from endpoint.queue import Queue
from tests.conftest import ROOT
from tests.live_server import ScriptedEngine

FOLDER = ROOT / "data" / "nim"
CACHE, SERVICE, COMPOSE = (
    yaml.safe_load((FOLDER / name).read_text(encoding="utf-8"))
    for name in ("nimcache.yaml", "nimservice.yaml", "compose.yaml")
)
LINES = [one for one in (FOLDER / "run.sh").read_text(encoding="utf-8").splitlines() if not one.startswith("#")]
WORDS = shlex.split(" ".join(line.removesuffix("\\") for line in LINES))
CONTAINER = COMPOSE["services"]["nim"]


def after(flag):
    return WORDS[WORDS.index(flag) + 1]


def test_the_autoscaler_alone_says_how_many_replicas_run_by_a_figure_that_the_server_tells():
    spec = SERVICE["spec"]
    assert spec["scale"]["enabled"] and "replicas" not in spec, "the operator refuses replicas beside scale.enabled"
    (metric,) = spec["scale"]["hpa"]["metrics"]
    told = Telemetry(Nvidia.metrics_prefix, Queue(ScriptedEngine())).registry.collect()
    assert f"vllm:{metric['pods']['metric']['name']}" in [one.name for one in told]


def test_every_file_starts_the_image_of_the_models_card_from_the_cache():
    cards = tomllib.loads((ROOT / "data" / "models.toml").read_text(encoding="utf-8"))
    image = SERVICE["spec"]["image"]
    assert isinstance(image["tag"], str), "a tag without quotation marks may be read as a number"
    pulled = CACHE["spec"]["source"]["ngc"]["modelPuller"]
    found = {f"{image['repository']}:{image['tag']}", pulled, CONTAINER["image"], WORDS[-1]}
    assert found == {cards["phi-4-mini"]["ids"]["nim_image"]}
    assert SERVICE["spec"]["storage"]["nimCache"]["name"] == CACHE["metadata"]["name"], "the weights it fetched"


def test_no_key_stands_in_a_file_and_every_line_that_sets_something_is_explained():
    for path in sorted(FOLDER.iterdir()):
        text = path.read_text(encoding="utf-8")
        assert "NGC_API_KEY" in text, "the reader should learn which key is wanted"
        assert not re.search(r"nvapi-|NGC_API_KEY\s*[=:]\s*\S|[A-Za-z0-9+/_]{40,}", text), path.name
        lines = [line for line in text.splitlines() if line.strip()] if path.suffix == ".yaml" else []
        for above, line in zip(lines, lines[1:], strict=False):  # explained beside it, or in a line of its own above
            beside = line.rstrip().endswith(":") or re.search(r"  # \S", line)
            assert beside or above.lstrip().startswith("# "), f"{path.name}, no explanation: {line}"


def test_the_one_line_and_compose_and_the_service_agree():
    assert [after("-p")] == CONTAINER["ports"] and [after("-v")] == CONTAINER["volumes"]
    assert f"--shm-size={CONTAINER['shm_size']}" in WORDS
    assert after("-e") == CONTAINER["environment"][0] == "NGC_API_KEY"
    assert after("-u") == "$(id" and CONTAINER["user"] == "${MY_ID}", "both run as the reader"
    assert after("--gpus") == CONTAINER["deploy"]["resources"]["reservations"]["devices"][0]["count"] == "all"
    host, outside, inside = after("-p").split(":")
    assert host == "127.0.0.1", "open to this machine alone"
    assert outside == inside == str(SERVICE["spec"]["expose"]["service"]["port"])
    assert f":{inside}/v1/health/ready" in CONTAINER["healthcheck"]["test"]


def test_the_lessons_table_explains_every_part_of_the_line():
    assert all(line.endswith(" \\") for line in LINES[:-1]), "one command is the promise, an option a line"
    cells = nbformat.read(ROOT / "notebooks" / "07_nvidia_nim.ipynb", as_version=4).cells
    table = "\n".join(cell.source for cell in cells if cell.cell_type == "markdown" and "| `docker run" in cell.source)
    words = " ".join(WORDS)
    for part in re.findall(r"^\| `([^`]+)`", table, re.MULTILINE):
        assert part in words, f"{part} is explained and isn't in the line"
        words = words.replace(part, " ", 1)
    assert not words.strip(), f"not explained: {words.strip()}"
