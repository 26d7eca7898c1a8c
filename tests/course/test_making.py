"""Making a model: texts that keep test and training apart, a training that loses nothing, refusals in one line."""

import tomllib

import pytest
import torch

from course import making
from course.evaluate import Share
from course.making import training
from slmlab.catalog import DATA
from slmlab.errors import BadRequest, NotHere
from slmlab.weights import folder
from tests.conftest import write_tiny_model


@pytest.fixture(autouse=True)
def fully_trained(own_cache, monkeypatch):
    monkeypatch.delenv("SLMLAB_TRAINING", raising=False)


def words_of(table) -> set[str]:
    """Every name, thing and phrase of a table of data/tickets.toml."""
    if isinstance(table, str):
        return {table.lower()}
    return set().union(*map(words_of, table.values() if isinstance(table, dict) else table))


def test_a_seed_gives_the_same_texts_and_no_test_word_is_in_the_training():
    assert making.stories(5, seed=1) == making.stories(5, seed=1) != making.stories(5, seed=2)
    assert making.tickets(5, seed=1) == making.tickets(5, seed=1)
    tables = tomllib.loads((DATA / "tickets.toml").read_text(encoding="utf-8"))
    shared = words_of(tables["learn"]) & words_of(tables["test"])
    assert not shared, f"a test must not be won by memory: {shared}"


def test_near_copies_share_a_mark_and_other_texts_do_not():
    first, second = making.stories(2, seed=8)
    assert {*making.marks(first)} & {*making.marks(first.replace("went", "walked"))}
    assert not {*making.marks(first)} & {*making.marks(second)}


def model_and_loss(seed=0, shift=0.0, fail_at=None, fault=KeyboardInterrupt, frozen=False):
    torch.manual_seed(seed)
    model = torch.nn.Linear(4, 1)
    model.bias.requires_grad_(not frozen)

    def loss_of(step):
        if step == fail_at:
            raise fault
        data = torch.randn(8, 4, generator=torch.Generator().manual_seed(step))
        return (model(data) - data.sum(1, keepdim=True) - shift).square().mean()

    return model, loss_of


def trained(name, steps=20, again=False, **options):
    model, loss_of = model_and_loss(**options)
    recipe = {"steps": steps, "rate": 0.05, "again": again, "look": lambda: {"exact": Share(1, 2)}}
    run = making.train(name, model, loss_of, **recipe)
    return run, [one.detach().clone() for one in model.parameters()]


def test_a_stopped_training_goes_on_to_the_very_weights_of_one_that_was_not(capsys):
    whole, weights = trained("whole")
    half, _ = trained("stopped", fail_at=7)
    assert not half.done and len(half.losses) == 7 and "Stopped after 7 of 20" in capsys.readouterr().out
    rest, others = trained("stopped")
    assert rest.done and rest.losses == whole.losses and "Going on from" in capsys.readouterr().out
    assert all(map(torch.equal, weights, others)), "the optimizer's notes are kept too"


def test_what_a_kill_leaves_is_the_last_copy(monkeypatch):
    monkeypatch.setattr(training, "SAVE_EVERY_S", 0)
    with pytest.raises(RuntimeError):
        trained("killed", fail_at=5, fault=RuntimeError)
    assert trained("killed")[0].losses == trained("whole")[0].losses


def test_what_is_finished_is_taken_and_other_texts_or_steps_are_trained_anew(capsys):
    first, _ = trained("one")
    assert trained("one")[0].seconds == first.seconds and "Taken from the disk" in capsys.readouterr().out
    for changed in ({"shift": 1.0}, {"seed": 1}, {"steps": 21}, {"frozen": True}, {"again": True}):
        trained("one", **changed)
        assert "Taken" not in capsys.readouterr().out, changed
        trained("one")


def test_a_training_that_was_stopped_before_its_first_step_begins_with_it():
    model, loss_of = model_and_loss()
    looks = iter((KeyboardInterrupt, None))

    def look():
        if fault := next(looks):
            raise fault
        return {}

    for steps in (0, 20):
        run = making.train("early", model, loss_of, steps=20, rate=0.05, look=look, at=(0,))
        assert f"step {steps} of 20" in repr(run)


def test_a_gradient_that_an_interrupted_step_left_in_the_model_is_not_followed():
    model, loss_of = model_and_loss()
    loss_of(3).backward()
    assert making.train("left", model, loss_of, steps=20, rate=0.05).losses == trained("whole")[0].losses


def test_a_short_training_of_the_tests_leaves_the_whole_one_on_the_disk(monkeypatch, capsys):
    trained("one")
    with monkeypatch.context() as short:
        short.setenv("SLMLAB_TRAINING", "short")
        assert trained("one")[0].steps == 5 and "Taken" not in capsys.readouterr().out
    trained("one")
    assert "Taken from the disk" in capsys.readouterr().out


def test_a_loss_that_is_no_number_stops_in_one_line_and_leaves_a_model_in_use():
    model, _ = model_and_loss()
    with pytest.raises(BadRequest, match=r"^The loss of step 0 is no number \(nan\)\. Its rate is too high, [^\n]*$"):
        making.train("nan", model, lambda step: model(torch.full((1, 4), float("nan"))).sum(), steps=5, rate=0.1)
    assert not model.training and not list(making.place("x").parent.glob("nan*"))


def test_a_disk_that_takes_no_copy_costs_the_copy_alone(tmp_path, monkeypatch, capsys):
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("SLMLAB_CACHE", str(tmp_path / "file"))
    assert trained("unkept")[0].done
    assert "can't be kept" in capsys.readouterr().out


def test_a_damaged_copy_is_trained_anew():
    first, _ = trained("cut")
    file = making.place("x").parent / "cut.pt"
    file.write_bytes(file.read_bytes()[:100])
    assert trained("cut")[0].losses == first.losses


PAIRS = [(f"text number {number}", "even" if number % 2 == 0 else "odd") for number in range(20)]


def test_a_task_of_ones_own_holds_texts_out_and_takes_each_once(tmp_path):
    file = tmp_path / "task.csv"
    file.write_text("\n".join(f'"{text}",{answer}' for text, answer in PAIRS + PAIRS[:3]), encoding="utf-8")
    task = making.read_task(file)
    assert sorted(task.learn + task.held) == sorted(PAIRS) and len(task.held) == 8
    assert making.read_task(PAIRS) == task, "a list and a file are one road"


@pytest.mark.parametrize(
    ("pairs", "said"),
    [
        ([], "There are 0 different examples, and 12 are needed"),
        ([(text, "yes") for text, _ in PAIRS], "Every answer is 'yes'"),
        ([*PAIRS, ("text number 3", "even")], "with another answer: 'text number 3'"),
        ([*PAIRS, ("", "odd")], r"Example 21 is \('', 'odd'\)"),
        ([*PAIRS, ("a", "b", "c")], "Example 21 is"),
    ],
)
def test_what_is_no_task_is_refused_in_one_line(pairs, said):
    with pytest.raises(BadRequest, match=said) as caught:
        making.read_task(pairs)
    assert "\n" not in str(caught.value)


def test_a_file_that_is_no_csv_is_refused_by_name(tmp_path):
    (tmp_path / "picture.csv").write_bytes(b"\xff\xd8\xff\xe0" * 20)
    for name in ("picture.csv", "missing.csv"):
        with pytest.raises(BadRequest, match=f"{name} can't be read as CSV"):
            making.read_task(tmp_path / name)


def test_the_score_in_one_pass_is_what_writing_gives(monkeypatch):
    from transformers import AutoModelForCausalLM

    monkeypatch.delenv("SLMLAB_CACHE")  # the real model is in the real cache
    held = folder("smollm2-135m", "transformers")
    net, chats = AutoModelForCausalLM.from_pretrained(held).eval(), making.Chats(held)
    asked = ["What is the capital of France?", "What is 2+2?"]  # whose answers are short
    own = list(zip(asked, chats.says_all(net, asked), strict=True))
    assert own[0][1] == chats.says(net, asked[0]), "whoever is asked at once"
    wrong = [(text, f"{said} So it is.") for text, said in own]
    assert chats.exact(net, own + wrong).right == len(own)


def adapter_of(base, place, seed):
    """A detour that was trained, as far as a test can tell; and the logits of its base with it."""
    from peft import LoraConfig, get_peft_model
    from transformers import AutoModelForCausalLM

    torch.manual_seed(seed)
    shape = LoraConfig(target_modules=["q_proj"], init_lora_weights=False)
    model = get_peft_model(AutoModelForCausalLM.from_pretrained(base), shape).eval()
    model.save_pretrained(place)
    return model(torch.arange(9)[None]).logits


def test_an_adapter_is_merged_once_and_a_new_one_of_the_same_name_is_not_taken_for_the_old(tmp_path):
    from transformers import AutoModelForCausalLM

    base = write_tiny_model(tmp_path / "base", "llama")
    first = adapter_of(base, tmp_path / "clerk", seed=1)
    whole = making.merged(tmp_path / "clerk")
    written = (whole / "model.safetensors").stat().st_mtime_ns
    assert torch.allclose(AutoModelForCausalLM.from_pretrained(whole)(torch.arange(9)[None]).logits, first, atol=1e-4)
    assert making.merged(tmp_path / "clerk") == whole and (whole / "tokenizer.json").is_file()
    assert (whole / "model.safetensors").stat().st_mtime_ns == written, "half a gigabyte is not written twice"
    adapter_of(base, tmp_path / "clerk", seed=2)
    assert making.merged(tmp_path / "clerk") != whole
    with pytest.raises(NotHere, match="There is no adapter in .*clark. Give 'smollm2-clerk'"):
        making.merged("smollm2-clark")
