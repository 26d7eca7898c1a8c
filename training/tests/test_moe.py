"""training/: a run that survives its end, folders that load with no code of ours, measures that mean what they say."""

import json
import os
import signal

import numpy as np
import pytest
import torch

from course.sparse import BEGIN, Recipe
from slmlab.catalog import DATA
from training import corpus, export_moe, lesson_moe, measure_moe, run
from training.state import read_state

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


def test_a_run_that_was_stopped_ends_as_one_that_was_not(work, capsys):
    recipe = Recipe(**SMALL)
    expected = finished(work / "whole", recipe)
    begun = run.Run(recipe, work / "halved")
    advance = begun.training.advance

    def stopped():
        if begun.training.step == 2:
            os.kill(os.getpid(), signal.SIGINT)
        return advance()

    begun.training.advance = stopped
    with pytest.raises(SystemExit) as end:
        begun.train()
    assert end.value.code == 130 and "Stopped and saved at step 3" in capsys.readouterr().out
    begun = run.Run(recipe, work / "halved")
    begun.save = lambda: os.replace("nowhere", "elsewhere")  # the next save fails
    with pytest.raises(FileNotFoundError):
        begun.train()
    found = finished(work / "halved", recipe)
    assert "Going on at step 3 of 6" in capsys.readouterr().out
    assert all(torch.equal(value, found["model"][name]) for name, value in expected["model"].items())


def test_a_full_disk_is_said_and_leaves_the_last_state(work, monkeypatch):
    begun = run.Run(Recipe(**SMALL), work / "run")
    begun.save()
    before = (work / "run" / "state.pt").read_bytes()

    def full(state, path):
        path.write_bytes(b"half")
        raise RuntimeError("unexpected pos 1074112 vs 1074064")

    monkeypatch.setattr(torch, "save", full)
    with pytest.raises(SystemExit, match="Free some room"):
        begun.save()
    assert (work / "run" / "state.pt").read_bytes() == before and not (work / "run" / "state.part").exists()


def test_a_folder_in_use_and_a_state_damaged_or_of_another_training_are_refused(work):
    recipe, state = Recipe(**SMALL), work / "run" / "state.pt"
    first = run.Run(recipe, work / "run")
    with pytest.raises(SystemExit, match="Another program trains"):
        run.Run(recipe, work / "run")
    first.train()
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


# A folder to ship


def test_it_loads_with_transformers_alone_and_has_the_trained_weights(work):
    from transformers import AutoModelForCausalLM, AutoTokenizer

    recipe, shipped = Recipe(**SMALL), work / "tiny"
    state = finished(work / "run", recipe)["model"]
    export_moe.export_one(recipe, work / "run" / "state.pt", shipped)
    model, tokenizer = AutoModelForCausalLM.from_pretrained(shipped), AutoTokenizer.from_pretrained(shipped)
    assert all(torch.equal(value, state[name].half()) for name, value in model.state_dict().items())
    text = "".join(map(chr, range(32, 400))) + "\n\t漢😀"
    ids = tokenizer(text)["input_ids"]
    assert ids == [BEGIN, *text.encode()], "a token is a byte and its id is the byte"
    assert tokenizer.decode(ids, skip_special_tokens=True) == text
    assert not list(work.glob("*.new")), "nothing half-made is left"
    assert all(path.stat().st_mode & 0o444 == 0o444 for path in shipped.iterdir()), "others may read it"


def test_what_is_not_finished_or_too_large_is_not_shipped(work, monkeypatch):
    recipe, state = Recipe(**SMALL), work / "run" / "state.pt"
    begun = run.Run(recipe, work / "run")
    begun.save()
    with pytest.raises(SystemExit, match="stopped at step 0"):
        export_moe.export_one(recipe, state, work / "tiny")
    begun.train()
    monkeypatch.setattr(export_moe, "MOST_BYTES", 1000)
    with pytest.raises(SystemExit, match="more than the 1,000"):
        export_moe.export_one(recipe, state, work / "tiny")
    assert not (work / "tiny").exists() and not (work / "tiny.new").exists()


# Measures


def test_everything_is_measured_beside_its_control(work, monkeypatch):
    for name, value in {"TEXTS": 4, "ABLATION_TEXTS": 2, "LENGTH": 32}.items():
        monkeypatch.setattr(measure_moe, name, value)
    recipe = Recipe(**SMALL)
    finished(work / "run", recipe)
    texts = measure_moe.held_texts(corpus.corpus(work), 4)
    assert all(len(some) == 4 and all(len(one.encode()) <= 32 for one in some) for some in texts.values())
    found = measure_moe.measure(work / "run" / "state.pt", recipe, texts)
    assert set(found["bits per byte"]) == set(DOMAINS) and all(0 < one < 12 for one in found["bits per byte"].values())
    assert len(found["layers"]) == len(found["untrained layers"]) == 2
    for layer in found["layers"] + found["untrained layers"]:
        assert 0 <= layer["domain, labels shuffled"] <= 1 and sum(layer["load"]) == pytest.approx(1)
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


def test_both_curves_are_kept_with_the_bytes_that_they_read(work, monkeypatch):
    monkeypatch.setattr(lesson_moe, "EVERY", 1)
    lesson_moe.curves(work, work / "curves.json", 2)
    found = json.loads((work / "curves.json").read_text())
    assert found["bytes"] == [2560, 5120] and all(len(curve) == 2 for curve in found["bits per byte"].values())


def test_the_probe_is_what_the_shipped_model_does(tmp_path):
    lesson_moe.probe(tmp_path / "probe.json")
    shipped = json.loads((DATA / "models" / "tiny-moe" / "probe.json").read_text(encoding="utf-8"))
    made = json.loads((tmp_path / "probe.json").read_text(encoding="utf-8"))
    pairs = zip(made["first experts"], shipped["first experts"], strict=True)
    assert sum(one == other for one, other in pairs) >= 98, "processors round differently, and hardly more"


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
