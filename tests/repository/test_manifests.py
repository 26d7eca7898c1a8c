"""The files of lesson 07 that start a container: valid, in agreement, explained line by line, without keys."""

import re
import shlex
import tomllib
from pathlib import Path

import nbformat
import pytest
import yaml

ROOT = Path(__file__).resolve().parents[2]
FOLDER = ROOT / "data" / "nim"
MANIFESTS = sorted(FOLDER.glob("*.yaml"))
EVERY = sorted(FOLDER.iterdir())
each_manifest = pytest.mark.parametrize("path", MANIFESTS, ids=lambda path: path.stem)


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


def test_the_four_files_of_the_lesson_are_there():
    assert [path.name for path in EVERY] == ["compose.yaml", "nimcache.yaml", "nimservice.yaml", "run.sh"]


@pytest.mark.parametrize("name, kind", [("nimcache.yaml", "NIMCache"), ("nimservice.yaml", "NIMService")])
def test_each_resource_names_the_operators_version_and_its_kind(name, kind):
    found = parsed(name)
    assert (found["apiVersion"], found["kind"]) == ("apps.nvidia.com/v1alpha1", kind)
    assert re.fullmatch(r"[a-z0-9]([-a-z0-9]*[a-z0-9])?", found["metadata"]["name"]), "not a name that Kubernetes takes"


def test_the_autoscaler_alone_says_how_many_replicas_run():
    spec = parsed("nimservice.yaml")["spec"]
    assert spec["scale"]["enabled"] is True
    assert "replicas" not in spec, "the operator refuses replicas beside scale.enabled"
    hpa = spec["scale"]["hpa"]
    assert 1 <= hpa["minReplicas"] <= hpa["maxReplicas"]
    assert spec["metrics"]["enabled"], "the autoscaler's figure comes from the metrics"


def test_the_autoscaler_looks_at_a_figure_that_the_server_tells():
    from endpoint.metrics import Telemetry

    (metric,) = parsed("nimservice.yaml")["spec"]["scale"]["hpa"]["metrics"]
    assert metric["type"] == "Pods" and metric["pods"]["target"]["type"] == "AverageValue"
    assert int(metric["pods"]["target"]["averageValue"]) > 0
    assert f"vllm:{metric['pods']['metric']['name']}" in Telemetry("vllm:", "any").text(0, 0).decode()


def test_each_replica_has_a_whole_gpu():
    limit = parsed("nimservice.yaml")["spec"]["resources"]["limits"]["nvidia.com/gpu"]
    assert isinstance(limit, int) and limit >= 1
    (device,) = compose()["deploy"]["resources"]["reservations"]["devices"]
    assert device["driver"] == "nvidia" and "gpu" in device["capabilities"]


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


@pytest.mark.parametrize("path", EVERY, ids=lambda path: path.name)
def test_secrets_go_by_their_names_and_no_key_stands_in_a_file(path):
    text = path.read_text(encoding="utf-8")
    assert not re.search(r"nvapi-|NGC_API_KEY\s*[=:]\s*\S|[A-Za-z0-9+/_]{40,}", text)
    assert re.search(r"NGC_API_KEY", text), "the reader should learn which key is wanted"


@each_manifest
def test_every_line_that_sets_something_is_explained(path):
    lines = [line for line in path.read_text(encoding="utf-8").splitlines() if line.strip()]
    assert lines[0].startswith("# "), "the first line says what the file does and how it is started"
    pairs = zip(lines, lines[1:], strict=False)  # explained beside it, or in a line of its own above
    silent = [line for above, line in pairs if not line.rstrip().endswith(":") and not re.search(r"  # \S", line)
              and not above.lstrip().startswith("# ")]  # fmt: skip
    assert not silent, "\n".join(["no explanation beside:", *silent])


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
