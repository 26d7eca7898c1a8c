"""weights from a hub: a real download over a socket, from a small hub that this test runs on the loopback."""

import hashlib
from pathlib import Path

import pytest

from slmlab import weights
from slmlab.catalog import card
from slmlab.errors import NotHere
from slmlab.weights import fault_of, folder, place
from tests.scripted_server import Answer, ScriptedServer, answer_json

PHI = card("phi-3.5-mini")

COMMIT = "0123456789abcdef0123456789abcdef01234567"
INSIDE = PHI.onnx.folder
FILES = {
    "README.md": b"not wanted",
    "modeling_phi3.py": b"raise SystemExit('code of the hub was run')",
    "pytorch_model.bin": b"a pickle",
    "consolidated.safetensors": b"the same weights a second time",
    "model.safetensors": b"s" * 70_000,
    "config.json": b"{}",
    "vision-lora/adapter_model.safetensors": b"an adapter",
    f"{INSIDE}/model.onnx": b"graph",
    f"{INSIDE}/model.onnx.data": b"w" * 300_000,
    f"{INSIDE}/genai_config.json": b'{"model": {}}',
    f"{INSIDE}/configuration_phi3.py": b"raise SystemExit('code of the hub was run')",
    "cuda/model.onnx.data": b"another build",
}


def sha256(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


def told(hub, asked: dict) -> Answer:
    """The paths of a model hub that a download uses, with ranges and the hub's headers."""
    path = asked["path"]
    if "/tree/" in path:
        return answer_json(200, [entry(*one) for one in hub.files.items()])
    if path.startswith("/api/models/"):
        return answer_json(200, {"id": "x/y", "sha": COMMIT, "siblings": []})
    name = path.split(f"/{COMMIT}/")[-1]
    content = hub.contents.get(name, hub.files[name])
    start = int(asked["headers"].get("range", "bytes=0-").removeprefix("bytes=").split("-")[0])
    headers = {"x-repo-commit": COMMIT, "etag": f'"{sha256(hub.files[name])}"'}
    headers["content-length"] = str(len(content) - start)
    if start:
        headers["content-range"] = f"bytes {start}-{len(content) - 1}/{len(content)}"
    return Answer(206 if start else 200, (content[start:],), headers)


def entry(name: str, content: bytes) -> dict:
    lfs = {"oid": sha256(content), "size": len(content), "pointerSize": 130}
    return {"type": "file", "path": name, "size": len(content), "oid": "0" * 40, "lfs": lfs}


@pytest.fixture
def model_hub(own_cache, monkeypatch):
    from huggingface_hub import constants

    for name in (*weights.SWITCHES, "HF_TOKEN"):
        monkeypatch.delenv(name, raising=False)
    server = ScriptedServer(lambda asked: told(server, asked))
    server.files, server.contents, address = FILES, {}, server.url.removesuffix("/v1")
    monkeypatch.setenv("HF_HUB_DISABLE_XET", "1")
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", False)
    monkeypatch.setattr(constants, "ENDPOINT", address)
    monkeypatch.setattr(constants, "HUGGINGFACE_CO_URL_TEMPLATE", address + "/{repo_id}/resolve/{revision}/{filename}")
    yield server
    server.close()


def paths(hub) -> list[str]:
    return [one["path"] for one in hub.requests]


def names_in(found: Path) -> set[str]:
    return {path.relative_to(found).as_posix() for path in found.rglob("*") if path.is_file()} - {"manifest.json"}


def test_the_size_is_said_and_only_the_wanted_folder_comes(model_hub, capsys):
    found = folder(PHI, "onnx-int4")
    assert names_in(found) == {"model.onnx", "model.onnx.data", "genai_config.json"}
    assert (found / "model.onnx.data").read_bytes() == FILES[f"{INSIDE}/model.onnx.data"]
    assert "0.00 GB in 3 files" in capsys.readouterr().out and not list(found.parent.glob("*.partial"))
    model_hub.requests.clear()
    assert folder(PHI, "onnx-int4") == found and model_hub.requests == [], "a second call asks the hub nothing"
    with pytest.raises(NotHere, match="not published as onnx-int8. Available: transformers, onnx-int4"):
        folder(PHI, "onnx-int8")


def test_no_code_no_pickle_and_no_second_copy_of_the_weights_is_taken(model_hub):
    found = folder(PHI, "transformers")
    assert names_in(found) == {"model.safetensors", "config.json", "vision-lora/adapter_model.safetensors"}
    assert not any(name.endswith((".py", ".bin")) or "consolidated" in name for name in paths(model_hub))


def test_a_file_that_arrives_damaged_is_not_kept(model_hub):
    name = f"{INSIDE}/model.onnx.data"
    model_hub.contents[name] = b"x" * len(FILES[name])
    with pytest.raises(NotHere, match="arrived damaged"):
        folder(PHI, "onnx-int4")
    assert fault_of(place(PHI, "onnx-int4"))
    model_hub.contents.clear()
    model_hub.requests.clear()
    assert (folder(PHI, "onnx-int4") / "model.onnx.data").read_bytes() == FILES[name]
    assert not any("genai_config" in asked for asked in paths(model_hub)), "what had arrived whole is not fetched again"


def test_without_the_hub_its_fault_and_both_ways_are_said(model_hub, monkeypatch):
    from huggingface_hub import constants

    monkeypatch.setattr(constants, "ENDPOINT", "http://127.0.0.1:9")
    with pytest.raises(NotHere, match="(?s)could not be fetched.*slmlab fetch phi-3.5-mini.*--from FOLDER.*refused"):
        folder(PHI, "onnx-int4")


def test_a_folder_that_is_handed_over_is_taken_without_a_network(own_cache, tmp_path, monkeypatch):
    monkeypatch.setenv("SLMLAB_OFFLINE", "1")
    (tmp_path / "mine").mkdir()
    with pytest.raises(NotHere, match="no folder with genai_config.json"):
        folder(PHI, "onnx-int4", given=tmp_path / "mine")
    (tmp_path / "mine" / "genai_config.json").write_text("{}")
    assert names_in(folder(PHI, "onnx-int4", given=tmp_path / "mine")) == {"genai_config.json"}
