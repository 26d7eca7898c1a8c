"""The lessons of the cloud at a live place: a service on a real socket, which wants the key that a reader has set."""

import re

import nbformat
import pytest
from IPython.display import display

from endpoint import start
from tests.conftest import LESSONS
from tests.live_server import ScriptedEngine, live

CLOUD = [path for path in LESSONS if path.stem[:2] in ("06", "07", "08")]
SWITCH = re.compile(r'^place = practise\(".+?"\)', re.MULTILINE)


@pytest.mark.parametrize("path", CLOUD, ids=lambda path: path.stem)
def test_a_lesson_of_the_cloud_runs_to_its_end_at_a_live_place(path, monkeypatch):
    monkeypatch.chdir(path.parent)
    monkeypatch.setenv("OPENAI_API_KEY", "made-up")
    monkeypatch.setattr(start, "_practice_servers", {})
    cells = [cell for cell in nbformat.read(path, 4).cells if cell.cell_type == "code"]
    sources = [cell.source for cell in cells if "exercise" not in cell.metadata.get("tags", [])]
    assert sum(bool(SWITCH.search(one)) for one in sources) == 1, "the lesson has one switch"
    names: dict = {"display": display}  # a notebook has it without an import
    with live(ScriptedEngine(), key="made-up") as service:
        monkeypatch.setenv("OPENAI_BASE_URL", service.url)
        for source in sources:
            exec(SWITCH.sub('place = practise("openai")', source), names)
    assert names["place"].live and service.queue.engine.asked, "the live service was asked"
    for server in start._practice_servers.values():
        server.stop()
