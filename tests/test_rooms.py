"""The rooms of slmlab stand on each other: every import points down, none up and none sideways."""

import ast
from pathlib import Path

import pytest

PACKAGE = Path(__file__).resolve().parent.parent / "slmlab"

# Top floor first. A module may import from any floor below its own, and from none beside or above.
FLOORS = (
    "__main__",
    "serving.command  runtimes.asking",
    "runtimes.racing  runtimes.child",
    "runtimes.listing  runtimes.built_in runtimes.llama_cpp runtimes.openvino runtimes.mlx runtimes.ollama"
    " runtimes.qnn runtimes.foundry_local",
    "runtimes.contract",
    "loading  connecting  serving.app",
    "engines.vision engines.onnx_vision",
    "engines.onnx engines.transformers engines.batched engines.openai engines.azure  doctor  teaching.widgets"
    " serving.practice",
    "engines.local engines.remote  environment  teaching.answer_widget teaching.chart_widget teaching.playground_widget"
    " teaching.quiz_widget teaching.routing_widget teaching.side_by_side_widget teaching.workload_widget"
    "  serving.practice_azure serving.practice_nvidia serving.practice_ollama",
    "weights  hardware  places  engines.batching engines.events engines.advice engines.arriving  serving.profile"
    " teaching.plots teaching.evaluate teaching.checks",
    "hub  machines  teaching.answer_plots teaching.model_plots teaching.expert_plots teaching.routing_plots"
    " teaching.vision_result_plots teaching.runtime_plots"
    " teaching.verdicts_decoding teaching.verdicts_measures teaching.verdicts_endpoints teaching.verdicts_experts"
    " teaching.verdicts_pictures teaching.verdicts_runtimes"
    "  serving.desk serving.process",
    "reading  serving.ollama_wire  engines.writing  teaching.vision_plots",
    "pinned  engines.contract  engines.session  engines.batch_model  engines.experts  sources  providers  serving.wire"
    "  runtimes.facts"
    "  teaching.exercises teaching.quizzes teaching.live teaching.domains teaching.training_view"
    "  teaching.vision_scores",
    "catalog  chat  ocr  sampling  metrics  findings  troubles  engines.quantized  teaching.answers"
    " teaching.progress teaching.sparse_training teaching.scene_draws"
    " teaching.foreign_pictures",
    "model_card  probe  convert  engines.faults  serving.page serving.limits serving.telemetry serving.exchange"
    "  teaching.scenes",
    "architecture  llama_graph  reply  routing  seeing  clips  bandwidth  runtimes.results"
    "  teaching.chart_pictures teaching.paper_pictures teaching.drawing teaching.questions",
    "records  tables  pictures  blocks  onnx_file  addresses  image_tokens  teaching.canvas teaching.wordings"
    "  runtimes.worker",
    "errors",
)
FLOOR_OF = {room: -number for number, floor in enumerate(FLOORS) for room in floor.split()}
HEAVY = {"torch", "transformers", "onnxruntime", "onnxruntime_genai", "onnx", "matplotlib", "ipywidgets", "psutil"}
HEAVY |= {"openai", "azure", "requests", "PIL", "cv2", "rapidocr"}
HEAVY |= {"xllamacpp", "openvino", "openvino_genai", "mlx", "mlx_lm", "ollama", "httpx", "onnxruntime_qnn"}
MODULES = {
    ".".join(path.relative_to(PACKAGE).with_suffix("").parts): path
    for path in sorted(PACKAGE.rglob("*.py"))
    if path.name != "__init__.py"
}


def imports(source: str) -> set[str]:
    """The rooms of slmlab that this code imports anywhere, also inside functions."""
    found = set()
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            found.update(alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, "import from slmlab.room, not from .room: the arrow is easier to read"
            found.update(f"{node.module}.{alias.name}" for alias in node.names)
    return {room for room in map(_room, found) if room}


def _room(name: str) -> str | None:
    """slmlab.records.Token and slmlab.records are the room records; what isn't slmlab's is None."""
    if name.split(".")[0] != "slmlab":
        return None
    parts = name.split(".")[1:]
    known = (".".join(parts[:size]) for size in range(len(parts), 0, -1))
    return next((room for room in known if room in FLOOR_OF), ".".join(parts) or "slmlab")


def wrong_arrows(room: str, source: str) -> list[str]:
    here = FLOOR_OF[room]
    wrong = []
    for other in sorted(imports(source)):
        if other not in FLOOR_OF:
            wrong.append(f"{room} imports slmlab.{other}, which is no room: import from the module that holds the name")
        elif FLOOR_OF[other] >= here:
            wrong.append(f"{room} imports {other}, which stands {'beside' if FLOOR_OF[other] == here else 'above'} it")
    return wrong


@pytest.mark.parametrize("room", MODULES)
def test_a_room_is_on_a_floor(room):
    assert room in FLOOR_OF, f"slmlab/{room.replace('.', '/')}.py is new: give it a place in FLOORS"


def test_no_floor_holds_a_room_that_is_gone():
    assert set(FLOOR_OF) == set(MODULES)


@pytest.mark.parametrize("room", [room for room in MODULES if room in FLOOR_OF])
def test_every_arrow_points_down(room):
    assert not wrong_arrows(room, MODULES[room].read_text(encoding="utf-8"))


@pytest.mark.parametrize("path", sorted(PACKAGE.rglob("__init__.py")), ids=lambda path: path.parent.name)
def test_a_wing_imports_none_of_its_rooms_when_it_is_entered(path):
    assert imports(path.read_text(encoding="utf-8")) == set()


@pytest.mark.parametrize("room", MODULES)
def test_heavy_packages_are_imported_where_they_are_needed_and_not_before(room):
    body = ast.parse(MODULES[room].read_text(encoding="utf-8")).body
    names = [alias.name for node in body if isinstance(node, ast.Import) for alias in node.names]
    names += [node.module for node in body if isinstance(node, ast.ImportFrom)]
    assert not {name.split(".")[0] for name in names} & HEAVY


@pytest.mark.parametrize(
    "line",
    [
        "from slmlab.loading import load",
        "from slmlab import loading",
        "import slmlab.loading",
        "def f():\n    from slmlab.engines import onnx",
        "from slmlab.teaching.plots import plot_sizes",  # sideways
        "from slmlab import load",  # the front door is for readers
        "import slmlab",
    ],
)
def test_an_arrow_that_turns_is_seen(line):
    assert len(wrong_arrows("weights", line)) == 1


@pytest.mark.parametrize("line", ["from slmlab.catalog import Card", "from slmlab import sources, hub", "import json"])
def test_an_arrow_that_points_down_is_fine(line):
    assert wrong_arrows("weights", line) == []
