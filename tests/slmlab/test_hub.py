"""hub: a real download over a socket, from a small hub that this test runs on the loopback."""

import hashlib
import json
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from slmlab import weights
from slmlab.catalog import card
from slmlab.errors import NotHere

COMMIT = "0123456789abcdef0123456789abcdef01234567"
CARD = card("phi-3.5-mini")
INSIDE = CARD.onnx.folder
FILES = {
    "README.md": b"not wanted",
    "modeling_phi3.py": b"raise SystemExit('code of the hub was run')",
    "pytorch_model.bin": b"a pickle",
    "model.safetensors": b"s" * 70_000,
    "config.json": b"{}",
    f"{INSIDE}/model.onnx": b"graph",
    f"{INSIDE}/model.onnx.data": b"w" * 300_000,
    f"{INSIDE}/genai_config.json": b'{"model": {}}',
    "cuda/model.onnx.data": b"another build",
}


def sha256(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


class Hub(BaseHTTPRequestHandler):
    """The two paths of a model hub that a download uses, with ranges and the hub's headers."""

    protocol_version = "HTTP/1.1"

    def log_message(self, *_):
        pass

    def do_GET(self):
        self.server.asked.append(self.path)
        if "/tree/" in self.path:
            return self._json(
                [{**one, "type": "file", "path": one["rfilename"], "oid": one["blobId"]} for one in self._listing()]
            )
        if self.path.startswith("/api/models/"):
            return self._json(
                {"id": "x/y", "sha": COMMIT, "private": False, "gated": False, "siblings": self._listing()}
            )
        name = self.path.split(f"/{COMMIT}/")[-1].split("/main/")[-1]
        if name not in FILES:
            return self._send(404, b"", {"X-Error-Code": "EntryNotFound"})
        content = self.server.contents.get(name, FILES[name])
        headers = {"X-Repo-Commit": COMMIT, "ETag": f'"{sha256(FILES[name])}"'}
        wanted = self.headers.get("Range")
        if wanted:
            start = int(wanted.removeprefix("bytes=").split("-")[0])
            headers["Content-Range"] = f"bytes {start}-{len(content) - 1}/{len(content)}"
            return self._send(206, content[start:], headers)
        return self._send(200, content, headers)

    do_HEAD = do_GET

    def _listing(self):
        return [
            {
                "rfilename": name, "size": len(content), "blobId": "0" * 40,
                "lfs": {"oid": sha256(content), "sha256": sha256(content), "size": len(content), "pointerSize": 130},
            }
            for name, content in FILES.items()
        ]  # fmt: skip

    def _json(self, record):
        self._send(200, json.dumps(record).encode(), {"Content-Type": "application/json"})

    def _send(self, status, content, headers):
        self.send_response(status)
        for name, value in {"Content-Length": len(content), **headers}.items():
            self.send_header(name, str(value))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(content)


@pytest.fixture
def model_hub(own_cache, monkeypatch):
    from huggingface_hub import constants

    server = ThreadingHTTPServer(("127.0.0.1", 0), Hub)
    server.asked, server.contents = [], {}
    threading.Thread(target=server.serve_forever, daemon=True).start()
    address = f"http://127.0.0.1:{server.server_port}"
    for name in ("SLMLAB_OFFLINE", "HF_HUB_OFFLINE", "HF_TOKEN"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("HF_HUB_DISABLE_XET", "1")
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", False)
    monkeypatch.setattr(constants, "ENDPOINT", address)
    monkeypatch.setattr(constants, "HUGGINGFACE_CO_URL_TEMPLATE", address + "/{repo_id}/resolve/{revision}/{filename}")
    yield server
    server.shutdown()
    server.server_close()


def test_the_size_is_said_and_only_the_wanted_folder_comes(model_hub, capsys):
    found = weights.folder(CARD, "onnx-int4")
    names = {path.name for path in found.iterdir()}
    assert names == {"model.onnx", "model.onnx.data", "genai_config.json", "manifest.json"}
    assert (found / "model.onnx.data").read_bytes() == FILES[f"{INSIDE}/model.onnx.data"]
    assert "0.00 GB in 3 files" in capsys.readouterr().out
    assert not list(found.parent.glob("*.partial"))


def test_no_code_and_no_pickle_is_ever_taken(model_hub):
    found = weights.folder(CARD, "transformers")
    assert {path.name for path in found.iterdir()} == {"model.safetensors", "config.json", "manifest.json"}
    assert not any(name.endswith((".py", ".bin")) for name in model_hub.asked)


def test_a_second_call_asks_the_hub_nothing(model_hub):
    weights.folder(CARD, "onnx-int4")
    model_hub.asked.clear()
    weights.folder(CARD, "onnx-int4")
    assert model_hub.asked == []


def test_a_file_that_arrives_damaged_is_not_kept(model_hub):
    name = f"{INSIDE}/model.onnx.data"
    model_hub.contents[name] = b"x" * len(FILES[name])
    with pytest.raises(NotHere, match="arrived damaged"):
        weights.folder(CARD, "onnx-int4")
    assert not weights.is_ready(CARD, "onnx-int4")
    model_hub.contents.clear()
    assert weights.folder(CARD, "onnx-int4")


def test_a_form_that_is_not_published_lists_those_that_are(model_hub):
    with pytest.raises(NotHere, match="not published as onnx-int8. Available: transformers, onnx-int4"):
        weights.folder(CARD, "onnx-int8")


def test_no_hub_names_both_ways(model_hub, monkeypatch):
    from huggingface_hub import constants

    monkeypatch.setattr(constants, "ENDPOINT", "http://127.0.0.1:9")
    with pytest.raises(NotHere, match=r"can't be reached.*slmlab fetch phi-3.5-mini.*--from FOLDER"):
        weights.folder(CARD, "onnx-int4")


def test_a_folder_that_is_handed_over_is_taken_without_a_network(own_cache, tmp_path, monkeypatch):
    monkeypatch.setenv("SLMLAB_OFFLINE", "1")
    (tmp_path / "mine").mkdir()
    with pytest.raises(NotHere, match="no folder with genai_config.json"):
        weights.folder(CARD, "onnx-int4", given=tmp_path / "mine")
    (tmp_path / "mine" / "model.onnx").write_bytes(b"graph")
    (tmp_path / "mine" / "genai_config.json").write_text("{}")
    assert (weights.folder(CARD, "onnx-int4", given=tmp_path / "mine") / "model.onnx").read_bytes() == b"graph"
