"""runtimes.qnn: what a Snapdragon's NPU takes, and this machine's answers."""

from course.runtimes.listing import answers, made
from tests.planted_package import plant


def test_it_names_the_hardware_the_line_and_the_form_of_the_model():
    need = made("qnn").need()
    assert "Snapdragon" in need and "python -m pip install onnxruntime-qnn" in need and "QDQ" in need


def test_the_machine_says_which_providers_its_onnxruntime_offers():
    import onnxruntime

    told = dict(answers("qnn").rows)
    assert told["execution providers of onnxruntime"] == " and ".join(onnxruntime.get_available_providers())


def test_a_plugin_that_does_not_load_is_an_answer_and_no_error(tmp_path, monkeypatch):
    plant(tmp_path, monkeypatch, "onnxruntime-qnn", "2.7.0", "def get_library_path(): return '/nowhere/qnn.so'")
    assert dict(answers("qnn").rows)["NPU that QNN sees"].startswith("its plugin answers: ")
