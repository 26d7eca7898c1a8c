"""The files of lesson 07 that start a container: valid, in agreement, explained line by line, without keys."""

import re
import shlex
import tomllib
from pathlib import Path

import nbformat
import yaml

ROOT = Path(__file__).resolve().parents[2]
FOLDER = ROOT / "data" / "nim"
EVERY = sorted(FOLDER.iterdir())


def parsed(name):
    return yaml.safe_load((FOLDER / name).read_text(encoding="utf-8"))


def image():
    cards = tomllib.loads((ROOT / "data" / "models.toml").read_text(encoding="utf-8"))
    return cards["phi-4-mini"]["ids"]["nim_image"]


def docker_words():
    lines = [line for line in (FOLDER / "run.sh").read_text(encoding="utf-8").splitlines() if not line.startswith("#")]
    assert all(line.endswith(" \\") for line in lines[:-1]), "one command is the promise, an option a line"
    return shlex.split(" ".join(line.removesuffix("\\") for line in lines))


def after(flag):
    words = docker_words()
    return words[words.index(flag) + 1]


def compose():
    return parsed("compose.yaml")["services"]["nim"]


def test_each_resource_names_the_operators_version_and_its_kind():
    for name, kind in (("nimcache.yaml", "NIMCache"), ("nimservice.yaml", "NIMService")):
        assert (parsed(name)["apiVersion"], parsed(name)["kind"]) == ("apps.nvidia.com/v1alpha1", kind)


def test_the_autoscaler_alone_says_how_many_replicas_run_by_a_figure_that_the_server_tells():
    from endpoint.metrics import Telemetry

    spec = parsed("nimservice.yaml")["spec"]
    assert spec["scale"]["enabled"] and "replicas" not in spec, "the operator refuses replicas beside scale.enabled"
    assert spec["metrics"]["enabled"], "the autoscaler's figure comes from the metrics"
    (metric,) = spec["scale"]["hpa"]["metrics"]
    assert f"vllm:{metric['pods']['metric']['name']}" in Telemetry("vllm:", "any").text(0, 0).decode()


def test_every_file_starts_the_image_of_the_models_card():
    service = parsed("nimservice.yaml")["spec"]["image"]
    assert isinstance(service["tag"], str), "a tag without quotation marks may be read as a number"
    cache = parsed("nimcache.yaml")["spec"]["source"]["ngc"]["modelPuller"]
    found = {f"{service['repository']}:{service['tag']}", cache, compose()["image"], docker_words()[-1]}
    assert found == {image()}


def test_the_service_reads_the_weights_that_the_cache_fetched():
    cache, service = parsed("nimcache.yaml"), parsed("nimservice.yaml")["spec"]
    assert service["storage"]["nimCache"]["name"] == cache["metadata"]["name"]
    assert cache["spec"]["storage"]["pvc"]["volumeAccessMode"] == "ReadWriteMany", "several replicas read it"
    source = cache["spec"]["source"]["ngc"]
    assert (source["pullSecret"], source["authSecret"]) == (service["image"]["pullSecrets"][0], service["authSecret"])


def test_no_key_stands_in_a_file_and_every_line_that_sets_something_is_explained():
    for path in EVERY:
        text = path.read_text(encoding="utf-8")
        assert "NGC_API_KEY" in text, "the reader should learn which key is wanted"
        assert not re.search(r"nvapi-|NGC_API_KEY\s*[=:]\s*\S|[A-Za-z0-9+/_]{40,}", text), path.name
        lines = [line for line in text.splitlines() if line.strip()] if path.suffix == ".yaml" else []
        for above, line in zip(lines, lines[1:], strict=False):  # explained beside it, or in a line of its own above
            beside = line.rstrip().endswith(":") or re.search(r"  # \S", line)
            assert beside or above.lstrip().startswith("# "), f"{path.name}, no explanation: {line}"


def test_the_one_line_and_compose_agree():
    same = compose()
    assert [after("-p")] == same["ports"] and [after("-v")] == same["volumes"]
    assert f"--shm-size={same['shm_size']}" in docker_words()
    assert after("-e") == same["environment"][0] == "NGC_API_KEY"
    assert after("-u") == "$(id" and same["user"] == "${MY_ID}", "both run as the reader"
    assert "MY_ID=$(id -u)" in (FOLDER / "compose.yaml").read_text(encoding="utf-8").splitlines()[0]
    (device,) = same["deploy"]["resources"]["reservations"]["devices"]
    assert after("--gpus") == device["count"] == "all"


def test_the_port_is_the_same_everywhere_and_open_to_this_machine_alone():
    host, outside, inside = after("-p").split(":")
    port = parsed("nimservice.yaml")["spec"]["expose"]["service"]["port"]
    assert host == "127.0.0.1" and outside == inside == str(port)
    assert f":{port}/v1/health/ready" in compose()["healthcheck"]["test"]


def test_the_lessons_table_explains_every_part_of_the_line():
    cells = nbformat.read(ROOT / "notebooks" / "07_nvidia_nim.ipynb", as_version=4).cells
    table = "\n".join(cell.source for cell in cells if cell.cell_type == "markdown" and "| `docker run" in cell.source)
    words = " ".join(docker_words())
    parts = [part for part in re.findall(r"^\| `([^`]+)`", table, re.MULTILINE)]
    assert parts, "the table is gone"
    for part in parts:
        assert part in words, f"{part} is explained and isn't in the line"
        words = words.replace(part, " ", 1)
    assert not words.strip(), f"not explained: {words.strip()}"
