"""The models of the course: cards and published benchmarks, read from data/ and checked.

Gives a card by any of its names. Knows nothing about loading a model, machines or networks.
"""

import json
import tomllib
from collections.abc import Mapping
from dataclasses import MISSING, dataclass, fields, is_dataclass
from functools import cache
from pathlib import Path
from types import UnionType
from typing import get_args, get_origin, get_type_hints

from slmlab.architecture import Architecture, is_mixture, sees_pictures
from slmlab.errors import BadRequest, SlmLabError, UnknownName, nearest, quoted
from slmlab.model_card import GRADES, KINDS, Card, Published


@dataclass(frozen=True)
class Benchmark:
    """One published figure. Compare it only with figures of the same publisher."""

    model: str
    benchmark: str
    value: float
    publisher: str
    source: str
    grade: str
    better: str = "higher"


def data_folder() -> Path:
    """The folder of facts, questions, recordings and small models: inside the package, or beside it in a clone."""
    here = Path(__file__).resolve().parent
    found = [folder for folder in (here / "data", here.parent / "data") if (folder / "models.toml").is_file()]
    if not found:
        raise SlmLabError(f"The data folder is missing: no models.toml in {here / 'data'} nor {here.parent / 'data'}.")
    return found[0]


DATA = data_folder()


def cards() -> dict[str, Card]:
    """Every card by its id, in the order of data/models.toml."""
    return dict(_read_cards(DATA / "models.toml"))


def card(name: str | Card) -> Card:
    """The card of a model, by its id, its name or what a provider calls it; upper and lower case are the same."""
    if isinstance(name, Card):
        return name
    if not isinstance(name, str):
        raise BadRequest(f"A model's name is text, such as 'phi-3.5-mini', not {name!r}.")
    path = DATA / "models.toml"
    index = _index(path)
    wanted = name.strip().lower()
    if wanted not in index:
        raise UnknownName(f"Unknown model {quoted(name)}. {nearest(wanted, list(_read_cards(path)))}.")
    return index[wanted]


def benchmarks(*, model: str | None = None, benchmark: str | None = None) -> list[Benchmark]:
    """Published figures, all or those of one model or one benchmark."""
    rows = _read_benchmarks(DATA / "benchmarks.toml")
    return [one for one in rows if model in (None, one.model) and benchmark in (None, one.benchmark)]


def card_of_folder(folder: Path) -> Card:
    """A card for a model folder that the reader has, from the configuration in it; what it doesn't say is None."""
    shape, context, kind = None, None, "text"
    for name in ("config.json", "genai_config.json"):
        try:
            settings = json.loads((folder / name).read_text(encoding="utf-8"))
        except (OSError, ValueError):
            continue
        if not isinstance(settings, dict):
            continue
        own = settings.get("text_config") if isinstance(settings.get("text_config"), dict) else settings
        context = own.get("max_position_embeddings") or settings.get("model", {}).get("context_length")
        sees = sees_pictures(settings)
        shape = None if sees else _shape(settings)
        kind = "vision" if sees else "moe" if is_mixture(settings) else "text"
        break
    name = folder.resolve().name
    facts = {"maker": "unknown", "family": "unknown", "kind": kind, "licence": "see the folder"}
    return Card(name, name, **facts, published=Published("not stated"), context=context, architecture=shape)


def _shape(settings: Mapping) -> Architecture | None:
    """The architecture in a config.json, for the families whose layers this catalog counts exactly."""
    keys = {"layers": "num_hidden_layers", "hidden": "hidden_size", "heads": "num_attention_heads",
            "kv_heads": "num_key_value_heads", "ffn": "intermediate_size", "vocab": "vocab_size"}  # fmt: skip
    family = settings.get("model_type")
    sparse = {"experts": "num_local_experts", "experts_per_token": "num_experts_per_tok"}
    keys |= sparse if family == "phimoe" else {}
    biased = settings.get("mlp_bias") or (family != "phimoe" and settings.get("attention_bias"))
    known = family in ("llama", "mistral", "phi3", "phimoe") and not biased
    if not known or not all(isinstance(settings.get(key), int) and settings[key] > 0 for key in keys.values()):
        return None
    sizes = {ours: settings[theirs] for ours, theirs in keys.items()}
    if family == "phimoe":
        sizes |= {"norm": "layer", "attention_bias": bool(settings.get("attention_bias")),
                  "head_bias": bool(settings.get("lm_head_bias"))}  # fmt: skip
    return Architecture(**sizes, head_size=settings.get("head_dim"), tied=bool(settings.get("tie_word_embeddings")))


@cache
def _read_cards(path: Path) -> dict[str, Card]:
    found = {}
    for name, table in read_toml(path).items():
        place = f"{path.name}: model {name!r}"
        _check_type(table, dict, place)
        found[name] = one = as_record(Card, {"id": name, **table}, place)
        _check_one_of(one.kind, KINDS, f"{place}: kind")
    return found


@cache
def _index(path: Path) -> dict[str, Card]:
    """Every name that a model answers to."""
    index: dict[str, Card] = {}
    for one in _read_cards(path).values():
        ids = one.ids
        names = (one.id, one.name, *one.aliases, ids.hub, ids.ollama, ids.github, ids.foundry, ids.nvidia)
        for name in filter(None, names):
            known = index.setdefault(name.lower(), one)
            if known is not one:
                raise SlmLabError(f"{path.name}: model {one.id!r}: the name {name!r} is also one of {known.id!r}.")
    return index


@cache
def _read_benchmarks(path: Path) -> tuple[Benchmark, ...]:
    rows = []
    for number, table in enumerate(read_toml(path).get("tables", []), start=1):
        place = f"{path.name}: table {number}"
        shared = {key: value for key, value in table.items() if key != "scores"}
        for model, scores in table.get("scores", {}).items():
            for benchmark, value in scores.items():
                row = {"model": model, "benchmark": benchmark, "value": value, **shared}
                rows.append(as_record(Benchmark, row, f"{place}: {model!r}"))
    return tuple(rows)


def read_toml(path: Path) -> dict:
    try:
        return tomllib.loads(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as fault:
        raise SlmLabError(
            f"{path.name} can't be read: {fault}. Restore it: git checkout -- data/{path.name}"
        ) from fault


def as_record(kind: type, table: Mapping, place: str):
    """A record from a table of TOML: no key is missing, none is unknown, every value has the type it should have."""
    types = get_type_hints(kind)
    unknown = sorted(set(table) - set(types))
    if unknown:
        raise SlmLabError(f"{place}: unknown key {unknown[0]!r}. Known: {', '.join(types)}.")
    for field in fields(kind):
        if field.name not in table and field.default is MISSING:
            raise SlmLabError(f"{place}: the key {field.name!r} is missing.")
    if "grade" in types:
        _check_one_of(table["grade"], GRADES, f"{place}: grade")
    return kind(**{key: _value(value, types[key], f"{place}: {key}") for key, value in table.items()})


def _value(value, wanted, place: str):
    if isinstance(wanted, UnionType):
        wanted = next(one for one in get_args(wanted) if one is not type(None))
    if get_origin(wanted) is tuple:
        _check_type(value, list, place)
        return tuple(_value(one, get_args(wanted)[0], place) for one in value)
    if is_dataclass(wanted):
        _check_type(value, dict, place)
        return as_record(wanted, value, place)
    _check_type(value, wanted, place)
    if wanted is int and value <= 0:
        raise SlmLabError(f"{place}: {value} can't be right. Leave out what is unknown.")
    return value


def _check_type(value, wanted: type, place: str) -> None:
    right = isinstance(value, (int, float) if wanted is float else wanted)
    if not right or (isinstance(value, bool) and wanted is not bool):
        raise SlmLabError(f"{place}: {value!r} should be of type {wanted.__name__}.")


def _check_one_of(value: str, allowed: tuple[str, ...], place: str) -> None:
    if value not in allowed:
        raise SlmLabError(f"{place}: {value!r} should be one of {', '.join(allowed)}.")
