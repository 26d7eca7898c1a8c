"""training/: a run that survives its end, folders that load with no code of ours, measures that mean what they say."""

import io
import json
import os
import signal
import struct
import subprocess
import sys
import tarfile
import zlib
from dataclasses import asdict

import numpy as np
import pytest
import torch

from course.sparse import BEGIN, Recipe
from slmlab.catalog import DATA
from training import corpus, export_moe, measure_moe, run
from training.state import ROOT, read_state

SMALL = {"steps": 6, "batch": 5, "length": 32, "layers": 2, "width": 64, "experts": 4, "warm_up": 2}
DOMAINS = {
    "English": "the rain in the plain ", "Python": "def f(x): return x\n", "Spanish": "la niña y el año ",
    "arithmetic": "1 + 2 = 3\n", "JSON": '{"a": [1, 2]}\n',
}  # fmt: skip


@pytest.fixture
def work(tmp_path, monkeypatch):
    """A folder with a corpus that is ready, so that nothing is fetched; a state is saved every second step."""
    arrays = {}
    for name, text in DOMAINS.items():
        for part in ("train", "held"):
            arrays[f"{name}.{part}"] = np.frombuffer((text * 200).encode(), np.uint8)
    np.savez(tmp_path / "corpus.npz", **arrays)
    (tmp_path / "corpus.json").write_text(json.dumps({"key": corpus._key()}))
    monkeypatch.setattr(run, "SAVE_EVERY", 2)
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield tmp_path
    torch.set_num_threads(threads)


def finished(folder, recipe) -> dict:
    run.Run(recipe, folder).train()
    return read_state(folder / "state.pt")


# A run


@pytest.mark.parametrize("stop", ["Ctrl-C", "killed"])
def test_a_run_that_was_stopped_ends_as_one_that_was_not(work, capsys, stop):
    recipe = Recipe(**SMALL)
    expected = finished(work / "whole", recipe)
    halved = run.Run(recipe, work / "halved")
    advance = halved.training.advance

    def stopped():
        if stop == "Ctrl-C" and halved.training.step == 2:
            os.kill(os.getpid(), signal.SIGINT)
        if stop == "killed" and halved.training.step == 5:
            raise MemoryError("the system took it away")
        return advance()

    halved.training.advance = stopped
    with pytest.raises(SystemExit if stop == "Ctrl-C" else MemoryError) as end:
        halved.train()
    if stop == "Ctrl-C":
        assert end.value.code == 130 and "Stopped and saved at step 3" in capsys.readouterr().out
    found = finished(work / "halved", recipe)
    saved = 3 if stop == "Ctrl-C" else 4  # the step under way is finished and saved, or the last second one is there
    assert f"Going on at step {saved} of 6" in capsys.readouterr().out
    assert all(torch.equal(value, found["model"][name]) for name, value in expected["model"].items())


def test_a_full_disk_is_said_and_leaves_the_last_state(work, monkeypatch):
    recipe = Recipe(**SMALL)
    begun = run.Run(recipe, work / "run")
    begun.training.advance()
    begun.save()
    before = (work / "run" / "state.pt").read_bytes()

    def full(state, path):
        path.write_bytes(b"half")
        raise RuntimeError("unexpected pos 1074112 vs 1074064")

    monkeypatch.setattr(torch, "save", full)
    with pytest.raises(SystemExit, match="Free some room"):
        begun.save()
    assert (work / "run" / "state.pt").read_bytes() == before
    assert not (work / "run" / "state.part").exists()


def test_nothing_is_written_while_there_is_too_little_to_measure(work):
    (work / "measures.json").write_text("as it was")
    with pytest.raises(SystemExit, match="Nothing is written"):
        measure_moe.measure_all(work, work / "measures.json")
    assert (work / "measures.json").read_text() == "as it was"


def test_two_programs_do_not_train_in_one_folder(work):
    first = run.Run(Recipe(**SMALL), work / "run")
    with pytest.raises(SystemExit, match="Another program trains"):
        run.Run(Recipe(**SMALL), work / "run")
    first.train()
    run.Run(Recipe(**SMALL), work / "run")


def test_a_state_that_is_damaged_or_of_another_training_is_not_continued(work):
    recipe, state = Recipe(**SMALL), work / "run" / "state.pt"
    assert finished(work / "run", recipe)["recipe"] == asdict(recipe)
    with pytest.raises(SystemExit, match="The recipe of .* differ"):
        run.Run(Recipe(**SMALL, seed=1), work / "run")
    with np.load(work / "corpus.npz") as kept:
        arrays = dict(kept)
    np.savez(work / "corpus.npz", **arrays | {"JSON.train": arrays["JSON.train"][1:]})
    with pytest.raises(SystemExit, match="The texts of .* differ"):
        run.Run(recipe, work / "run")
    state.write_bytes(state.read_bytes()[:1000])
    with pytest.raises(SystemExit, match="Delete it"):
        run.Run(recipe, work / "run")


def test_the_command_says_what_it_can_do():
    command = [sys.executable, "-m", "training.moe", "--help"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0 and "measure every finished model" in done.stdout, done.stderr


# A folder to ship


@pytest.fixture
def shipped(work):
    recipe = Recipe(**SMALL)
    finished(work / "run", recipe)
    export_moe.export_one(recipe, work / "run" / "state.pt", work / "tiny")
    return work / "tiny"


def test_it_loads_with_transformers_alone_and_has_the_trained_weights(shipped, work):
    from transformers import AutoModelForCausalLM, AutoTokenizer

    model, tokenizer = AutoModelForCausalLM.from_pretrained(shipped), AutoTokenizer.from_pretrained(shipped)
    state = read_state(work / "run" / "state.pt")["model"]
    assert all(torch.equal(value, state[name].half()) for name, value in model.state_dict().items())
    text = "".join(map(chr, range(32, 400))) + "\n\t漢😀"
    ids = tokenizer(text)["input_ids"]
    assert ids == [BEGIN, *text.encode()], "a token is a byte and its id is the byte"
    assert tokenizer.decode(ids, skip_special_tokens=True) == text
    assert tokenizer.eos_token_id == 257 and tokenizer.pad_token_id == 258
    assert not list(shipped.parent.glob("*.new")), "nothing half-made is left"
    assert all(path.stat().st_mode & 0o444 == 0o444 for path in shipped.iterdir()), "others may read it"


def test_what_is_not_finished_or_too_large_is_not_shipped(work, monkeypatch):
    recipe, state = Recipe(**SMALL), work / "run" / "state.pt"
    with pytest.raises(SystemExit, match="train this model first"):
        export_moe.export_one(recipe, state, work / "tiny")
    begun = run.Run(recipe, work / "run")
    begun.training.advance()
    begun.save()
    with pytest.raises(SystemExit, match="stopped at step 1"):
        export_moe.export_one(recipe, state, work / "tiny")
    begun.train()
    monkeypatch.setattr(export_moe, "MOST_BYTES", 1000)
    with pytest.raises(SystemExit, match="more than the 1,000"):
        export_moe.export_one(recipe, state, work / "tiny")
    assert not (work / "tiny").exists() and not (work / "tiny.new").exists()


# Measures


def test_everything_is_measured_beside_its_control(work, monkeypatch):
    monkeypatch.setattr(measure_moe, "TEXTS", 4)
    monkeypatch.setattr(measure_moe, "ABLATION_TEXTS", 2)
    monkeypatch.setattr(measure_moe, "LENGTH", 32)
    recipe = Recipe(**SMALL)
    finished(work / "run", recipe)
    texts = measure_moe.held_texts(corpus.corpus(work), 4)
    assert all(len(some) == 4 and all(len(one.encode()) <= 32 for one in some) for some in texts.values())
    found = measure_moe.measure(work / "run" / "state.pt", recipe, texts)
    assert set(found["bits per byte"]) == set(DOMAINS) and all(0 < one < 12 for one in found["bits per byte"].values())
    assert len(found["layers"]) == len(found["untrained layers"]) == 2
    for layer in found["layers"] + found["untrained layers"]:
        assert 0 <= layer["domain, labels shuffled"] <= 1 and 0 <= layer["kind of byte"] <= 1
        assert sum(layer["load"]) == pytest.approx(1)
    assert [len(layer["JSON"]) for layer in found["damage"]] == [4, 4]


def test_over_the_seeds_the_lowest_the_mean_and_the_highest_are_kept():
    def mixture(value):
        layer = {"domain": value, "kind of byte": 0.5, "load": [0.1, value]}
        even = layer | {"load": [0.5, 0.5]}
        damage = [{"English": [0.0, value]}, {"English": [0.1, -1.0]}]
        bits = {"English": value}
        return {"layers": [layer], "untrained layers": [even], "bits per byte": bits, "damage": damage}

    dense = {seed: {"bits per byte": {"English": 3.0}} for seed in (0, 1)}
    over = measure_moe.over_seeds({0: mixture(0.25), 1: mixture(0.75)}, dense)
    assert over["following"]["domain, trained"] == [[0.25, 0.5, 0.75]]
    assert over["bits per byte"]["English"] == {"mixture": [0.25, 0.5, 0.75], "dense": [3.0, 3.0, 3.0]}
    assert over["most lost"] == {"English": [0.25, 0.5, 0.75]}
    assert over["load"] == [0.1, 0.75] and over["untrained load"] == [0.5, 0.5]


def test_the_model_card_shows_the_figures_that_were_measured():
    folder = DATA / "models" / "tiny-moe"
    found = json.loads((folder / "measures.json").read_text(encoding="utf-8"))
    card = (folder / "README.md").read_text(encoding="utf-8")
    assert measure_moe.tables(found) in card, "run: python -m training.moe measure"
    assert len(found["moe"]) >= 3 and len(found["dense"]) >= 2, "three seeds, and more than one opponent"


# The corpus


def deb(files: dict[str, bytes]) -> bytes:
    """A Debian package: an `ar` archive of a version, a control archive and the files."""
    inside = io.BytesIO()
    with tarfile.open(fileobj=inside, mode="w:xz") as archive:
        for name, data in files.items():
            entry = tarfile.TarInfo(f"./usr/share/sword/{name}")
            entry.size = len(data)
            archive.addfile(entry, io.BytesIO(data))
    parts = {"debian-binary": b"2.0\n", "control.tar.xz": b"odd", "data.tar.xz": inside.getvalue()}
    made = b"!<arch>\n"
    for name, data in parts.items():
        made += f"{name:16}{0:<12}{0:<6}{0:<6}{100644:<8}{len(data):<10}`\n".encode() + data + b"\n" * (len(data) % 2)
    return made


def module(part: str, verses: list[str]) -> dict[str, bytes]:
    """One testament of a SWORD module: a compressed block, where it begins, where each verse is."""
    block, index = b"", b""
    for verse in verses:
        data = verse.encode()
        index += struct.pack("<IIH", 0, len(block), len(data))
        block += data
    packed = zlib.compress(block)
    places = struct.pack("<III", 0, len(packed), len(block))
    return {f"{part}.bzz": packed, f"{part}.bzs": places, f"{part}.bzv": index}


def test_verses_come_out_of_a_debian_package_without_marks_and_notes(tmp_path):
    first = module("ot", ["<w>In</w> the  beginning <note n='1'>or: first</note>, it was", "", "¿ Quién ?"])
    (tmp_path / "one.deb").write_bytes(deb(first | module("nt", ["<title>Book</title>The end."])))
    text = corpus.sword_text(corpus.deb_files(tmp_path / "one.deb"))
    assert text == "In the beginning, it was\n¿Quién?\nThe end."


def test_a_corpus_that_is_damaged_or_of_other_sources_is_made_anew(work, monkeypatch):
    made = []
    monkeypatch.setattr(corpus, "_made", made.append)
    corpus.corpus(work)
    assert not made, "it is there already"
    monkeypatch.setattr(corpus, "MADE_BYTES", 10)
    corpus.corpus(work)
    monkeypatch.undo()
    monkeypatch.setattr(corpus, "_made", made.append)
    (work / "corpus.npz").write_bytes(b"PK cut")
    corpus.corpus(work)
    assert made == [work, work]


def test_a_file_with_another_hash_is_not_used(tmp_path):
    source = corpus.SOURCES["English"][0]
    (tmp_path / source.file).write_bytes(b"something else")
    with pytest.raises(SystemExit, match="not the file that it should be"):
        corpus.fetched(source, tmp_path)


def test_every_25th_block_is_held_out_and_nothing_is_lost():
    data = np.arange(corpus.BLOCK * 50, dtype=np.int64)
    parts = corpus._split(data)
    assert len(parts["held"]) == 2 * corpus.BLOCK and parts["held"][0] == 24 * corpus.BLOCK
    assert sorted([*parts["train"], *parts["held"]]) == data.tolist()
