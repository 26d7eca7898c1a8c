"""What the course's tests share: a progress file of their own, a planted runtime, one thread for small trainings."""

import pytest

from tests.planted_package import plant
from tests.slmlab.test_weights_hub import model_hub  # noqa: F401


def named(figure, gid=None) -> list[str]:
    """The words in a figure."""
    return [text.get_text() for text in figure.ax.texts if text.get_gid() == gid]


def enter(text_box, text: str) -> None:
    """Type a text and press Enter, as a page says it."""
    text_box.value = text
    text_box._handle_custom_msg({"event": "submit"}, [])


@pytest.fixture(autouse=True)
def own_progress(tmp_path, monkeypatch):
    monkeypatch.setenv("SLMLAB_PROGRESS", str(tmp_path / "progress.json"))


@pytest.fixture
def planted(tmp_path, monkeypatch):
    """A function that plants a package xllamacpp with this code."""
    return lambda code: plant(tmp_path, monkeypatch, "xllamacpp", "2026.11", code)


@pytest.fixture
def one_thread():
    """So small a model gains nothing by threads, and sums in another order change the last digit."""
    import torch

    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)
