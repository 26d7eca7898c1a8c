"""What the tests share: tiny real models with random weights, made once, and the bundled one where it is named."""

import contextlib
import io
import json
import re
import warnings
from pathlib import Path

import pytest

import slmlab
from slmlab.catalog import card_of_folder
from slmlab.connecting import services
from slmlab.errors import SlmLabError

ROOT = Path(__file__).resolve().parents[1]
LESSONS = sorted((ROOT / "notebooks").glob("*.ipynb"))

# No message, output or log may show a key that a test plants: it has `planted` in it, in any case.
PLANTED = re.compile(r"[\w-]*planted[\w-]*", re.IGNORECASE)
_messages: list[str] = []


def pytest_configure():
    """Every error of slmlab is watched from here on, also one that a test catches."""
    made = SlmLabError.__init__

    def watched(self, *arguments, **options):
        _messages.append(str(arguments))
        made(self, *arguments, **options)

    SlmLabError.__init__ = watched


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item, call):
    """A test that passes and shows a planted key, in its output, its log or an error's message, fails after all."""
    report = yield
    seen = [text for _, text in report.sections] + _messages
    _messages.clear()
    if report.when == "call" and report.passed and (found := set(PLANTED.findall("\n".join(seen)))):
        report.outcome = "failed"
        report.longrepr = f"{item.nodeid} shows a planted key: {', '.join(found)}"
    return report


@pytest.fixture
def bare(monkeypatch):
    """No variable of any provider is set."""
    for one in services().values():
        for variable in (*one.key_variables, *one.url_variables):
            monkeypatch.delenv(variable, raising=False)


TEMPLATE = (
    "{% for message in messages %}<|{{ message['role'] }}|>{{ message['content'] }}<|end|>{% endfor %}"
    "{% if add_generation_prompt %}<|assistant|>{% endif %}"
)


def write_byte_tokenizer(folder: Path) -> int:
    """A tokenizer with one token per byte and four special ones: small enough to compute by hand. Gives its size."""
    from tokenizers import AddedToken, Tokenizer, decoders, models, pre_tokenizers

    letters = sorted(pre_tokenizers.ByteLevel.alphabet())
    tokenizer = Tokenizer(models.BPE(vocab={letter: id for id, letter in enumerate(letters)}, merges=[]))
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    names = ("<|end|>", "<|system|>", "<|user|>", "<|assistant|>")
    tokenizer.add_special_tokens([AddedToken(name, special=True) for name in names])
    tokenizer.save(str(folder / "tokenizer.json"))
    settings = {"eos_token": "<|end|>", "tokenizer_class": "PreTrainedTokenizerFast", "chat_template": TEMPLATE}
    (folder / "tokenizer_config.json").write_text(json.dumps(settings))
    return tokenizer.get_vocab_size()


MIXTURES = {
    "phimoe": {"num_local_experts": 6, "router_jitter_noise": 0.3},
    "mixtral": {"num_local_experts": 4},
    "deepseek_v3": {
        "n_routed_experts": 8, "num_experts_per_tok": 2, "n_group": 2, "topk_group": 1, "moe_intermediate_size": 32,
        "first_k_dense_replace": 1, "q_lora_rank": None, "kv_lora_rank": 16, "qk_rope_head_dim": 8,
        "qk_nope_head_dim": 8, "v_head_dim": 16,
    },
    "jetmoe": {"num_local_experts": 4, "num_experts_per_tok": 2, "kv_channels": 16},
}  # fmt: skip


def write_tiny_model(folder: Path, architecture: str, seed: int = 0) -> Path:
    """A real architecture with random weights: 'llama' (SmolLM2's shape), 'phi3', or one of the mixtures of experts."""
    import torch
    from transformers import AutoConfig, AutoModelForCausalLM

    folder.mkdir(parents=True, exist_ok=True)
    vocabulary = write_byte_tokenizer(folder)
    config = AutoConfig.for_model(
        architecture, **MIXTURES.get(architecture, {}),
        vocab_size=vocabulary, hidden_size=64, intermediate_size=128, num_hidden_layers=2, num_attention_heads=4,
        num_key_value_heads=2, max_position_embeddings=256, tie_word_embeddings=architecture == "llama",
        eos_token_id=256, bos_token_id=None, pad_token_id=256, initializer_range=0.5,
    )  # fmt: skip
    if architecture == "phi3":
        config.original_max_position_embeddings = 256  # as in Phi-3-mini-4k: no long-context scaling
    torch.manual_seed(seed)
    AutoModelForCausalLM.from_config(config).save_pretrained(folder)
    return folder


def ids_of(reply) -> list[int]:
    return [token.id for token in reply]


@pytest.fixture(scope="session", params=["llama", "phi3"])
def tiny_folder(request, tmp_path_factory) -> Path:
    return write_tiny_model(tmp_path_factory.mktemp(request.param) / "transformers", request.param)


@pytest.fixture(scope="session")
def tiny_mixture(tmp_path_factory):
    """Microsoft's mixture of experts with random weights: 2 layers, 6 experts, 2 for a token."""
    return slmlab.load(write_tiny_model(tmp_path_factory.mktemp("phimoe") / "transformers", "phimoe"))


@pytest.fixture(scope="session")
def tiny_onnx_folder(tiny_folder, tmp_path_factory) -> Path:
    from slmlab.gguf.convert import transformers_to_onnx

    target = tmp_path_factory.mktemp("onnx") / "fp32"
    target.mkdir()
    with contextlib.redirect_stdout(io.StringIO()), contextlib.redirect_stderr(io.StringIO()):
        transformers_to_onnx(tiny_folder, target, "fp32")
    return target


@pytest.fixture(scope="session")
def tiny_transformers(tiny_folder):
    return slmlab.load(tiny_folder)


@pytest.fixture(scope="session")
def tiny_onnx(tiny_onnx_folder):
    return slmlab.load(tiny_onnx_folder, precision="fp32")


@pytest.fixture(scope="session")
def tiny_batched(tiny_onnx_folder):
    """Four seats over the same weights."""
    from endpoint.batch.engine import BatchedEngine

    with BatchedEngine(card_of_folder(tiny_onnx_folder), tiny_onnx_folder, "fp32", seats=4, threads=1) as engine:
        yield engine


@pytest.fixture(scope="session", params=["onnx", "transformers"])
def tiny(request, tiny_onnx, tiny_transformers):
    """Each engine over the same random weights."""
    return {"onnx": tiny_onnx, "transformers": tiny_transformers}[request.param]


@pytest.fixture(scope="session")
def tiny_sight_folder(tmp_path_factory) -> Path:
    from tests.tiny_sight import write_tiny_sight

    return write_tiny_sight(tmp_path_factory.mktemp("llava") / "transformers")


@pytest.fixture(scope="session")
def tiny_sight(tiny_sight_folder):
    """LLaVA's kind with random weights: 16 tokens a picture, 2 layers, a context of 256."""
    return slmlab.load(tiny_sight_folder, threads=1)


@pytest.fixture(scope="session")
def tiny_sight_reference(tiny_sight_folder):
    """The same folder as Transformers alone opens it, with its attentions in sight."""
    from transformers import AutoModelForImageTextToText, AutoProcessor

    model = AutoModelForImageTextToText.from_pretrained(tiny_sight_folder, attn_implementation="eager")
    return AutoProcessor.from_pretrained(tiny_sight_folder, backend="pil"), model.eval()


@pytest.fixture(scope="session")
def tiny_phi3v_folder(tmp_path_factory) -> Path:
    from tests.tiny_sight import write_tiny_phi3v

    return write_tiny_phi3v(tmp_path_factory.mktemp("phi3v") / "onnx")


@pytest.fixture(scope="session")
def tiny_phi3v(tiny_phi3v_folder):
    """Phi-3.5-vision's form in ONNX with random weights: up to 16 crops a picture, a context of 4,096."""
    return slmlab.load(tiny_phi3v_folder, precision="fp32", threads=1)


@pytest.fixture(scope="session")
def bundled():
    """The course's own model in its default form, fetched and converted where this machine lacks it."""
    return slmlab.load()


@pytest.fixture
def drawn_cleanly():
    """A warning while drawing is a fault. A socket that another test left to the collector, and that it finds just now,
    is none of the plot's."""
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        for found in (ResourceWarning, pytest.PytestUnraisableExceptionWarning):
            warnings.simplefilter("ignore", found)
        yield


@pytest.fixture
def own_cache(tmp_path, monkeypatch) -> Path:
    """An empty cache folder of the test's own."""
    monkeypatch.setenv("SLMLAB_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache"
