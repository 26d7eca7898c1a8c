"""A package of a known name, version and behaviour, put before the real one for a runtime's process."""

import os
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent

# As much of xllamacpp as the runtime calls: whatever is read, the ids 7, 8, 9 ... follow, each with probability 1/2.
COUNTING = """
class _Parts:
    def __init__(self):
        self.model, self.cpuparams, self.cpuparams_batch = (type("Part", (), {})() for _ in range(3))
CommonParams = _Parts
class Server:
    def __init__(self, params):
        pass
    def handle_completions(self, asked):
        ids = range(7, 7 + asked["n_predict"])
        said = [{"id": id, "top_logprobs": [{"id": id, "logprob": -0.6931472}]} for id in ids]
        return {"choices": [{"logprobs": {"content": said}}]}
"""


def plant(folder: Path, monkeypatch, package: str, version: str, code: str) -> None:
    """From here on a child process finds this package first."""
    (folder / f"{package.replace('-', '_')}.py").write_text(code, encoding="utf-8")
    about = folder / f"{package.replace('-', '_')}-{version}.dist-info"
    about.mkdir()
    (about / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {package}\nVersion: {version}\n", encoding="utf-8")
    before = os.environ.get("PYTHONPATH", "")
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join(filter(None, (str(folder), str(ROOT), before))))
    monkeypatch.syspath_prepend(str(folder))
