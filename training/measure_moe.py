"""What the trained mixtures are worth and what their experts follow, with controls, on texts that were held out.

Bits per byte beside the dense opponent; the information that experts share with the domain and with the kind of byte,
beside untrained routers and shuffled labels; how busy each expert is; what is lost with one switched off; tokens/s.
"""

import json
import random
import tempfile
from pathlib import Path
from statistics import mean, median
from time import perf_counter

import numpy as np

from course import inside
from course.domains import samples
from course.sparse import Recipe
from slmlab.catalog import card_of_folder
from slmlab.engines.transformers import TransformersEngine
from slmlab.measure import bits_per_byte
from training.cards import markdown_table, write_between
from training.corpus import corpus
from training.export_moe import export_one
from training.run import folder_of, name_of
from training.state import read_state, write_whole

TEXTS, ABLATION_TEXTS, LENGTH = 60, 8, 256
MARK, END_MARK = "<!-- measures: written by python -m training.moe measure -->", "<!-- end of measures -->"


def measure_all(work: Path, target: Path) -> None:
    """Measure every finished model under `work` and write the figures, with means and ranges over the seeds."""
    texts = held_texts(corpus(work), TEXTS)
    found = {}
    for path in sorted(work.glob("*/state.pt")):
        state = read_state(path)
        recipe = Recipe(**state["recipe"])
        if recipe != Recipe(seed=recipe.seed, dense=recipe.dense) or state["step"] != recipe.steps:
            print(f"{path.parent.name}: left out, at step {state['step']:,} of {recipe.steps:,}, or of another recipe")
            continue
        kind = "dense" if recipe.dense else "moe"
        found.setdefault(kind, {})[recipe.seed] = one = measured_once(path, recipe, texts)
        one["minutes"] = round(state["seconds"] / 60, 1)
        print(f"{path.parent.name}: {json.dumps(one['bits per byte'])}", flush=True)
    if not (found.get("moe") and found.get("dense")):
        raise SystemExit(f"Nothing is written: it takes a finished mixture and a finished dense model in {work}.")
    found["over seeds"] = over_seeds(found["moe"], found["dense"])
    found["speed"] = speeds(work)
    write_whole(target, json.dumps(rounded(found), indent=1) + "\n")
    write_between(target.with_name("README.md"), MARK, END_MARK, tables(rounded(found)))
    print(f"Written: {target}")


def tables(found: dict) -> str:
    """The measures over the seeds as the model card shows them."""
    over, speed = found["over seeds"], found["speed"]
    seeds = f"{len(over['seeds'])} seeds"
    bits = [
        [name, *(_span(one, "{:.3f}") for one in (both["mixture"], both["dense"], over["most lost"][name]))]
        for name, both in over["bits per byte"].items()
    ]
    told = [[name, *(_span(layer, "{:.0%}") for layer in layers)] for name, layers in over["following"].items()]
    heads = [f"layer {layer}" for layer in range(len(told[0]) - 1)]
    parts = (
        f"Bits per byte on {TEXTS} held-out texts of {LENGTH} bytes a domain, and the most that is lost when one "
        f"expert is switched off; {seeds} ({len(over['dense seeds'])} of the dense): mean (lowest to highest).",
        markdown_table(["domain", "mixture", "dense", "most lost without one expert"], bits),
        f"What one of a token's two experts tells about a label, as a share of all there is to know, {seeds}:",
        markdown_table(["label", *heads], told),
        "An expert's share of a layer's work: {:.1%} to {:.1%}; in the untrained models {:.1%} to {:.1%}.".format(
            *over["load"], *over["untrained load"]
        ),
        "Tokens per second on a CPU, as a share of the dense opponent's (medians of one run in turns): "
        f"{speed['moe to dense, reads']:.2f} in reading, {speed['moe to dense, writes']:.2f} in writing.",
    )
    return "\n\n".join(parts)


def _span(figures: list[float], form: str) -> str:
    low, middle, high = (form.format(one) for one in figures)
    return f"{middle} ({low} to {high})"


def over_seeds(mixtures: dict, dense: dict) -> dict:
    """Lowest, mean and highest over the seeds: of what experts follow, layer by layer, and of the bits per byte."""

    def span(values) -> list[float]:
        values = list(values)
        return [min(values), mean(values), max(values)]

    layers = range(len(next(iter(mixtures.values()))["layers"]))
    following = {
        f"{label}, {state}": [span(one[part][layer][label] for one in mixtures.values()) for layer in layers]
        for label in ("domain", "kind of byte")
        for state, part in (("trained", "layers"), ("untrained", "untrained layers"))
    }
    bits = {
        name: {
            kind: span(one["bits per byte"][name] for one in models.values())
            for kind, models in (("mixture", mixtures), ("dense", dense))
        }
        for name in next(iter(dense.values()))["bits per byte"]
    }
    loads = [layer["load"] for one in mixtures.values() for layer in one["layers"]]
    before = [layer["load"] for one in mixtures.values() for layer in one["untrained layers"]]
    worst = {name: span(max(max(layer[name]) for layer in one["damage"]) for one in mixtures.values()) for name in bits}
    rows = [[name, *(f"{low:.0%} to {high:.0%}" for low, _, high in each)] for name, each in following.items()]
    return {
        "table": [["", *(f"layer {layer}" for layer in layers)], rows],
        "seeds": sorted(mixtures), "dense seeds": sorted(dense),
        "following": following, "bits per byte": bits, "most lost": worst,
        "load": [min(map(min, loads)), max(map(max, loads))],
        "untrained load": [min(map(min, before)), max(map(max, before))],
    }  # fmt: skip


def measured_once(path: Path, recipe: Recipe, texts: dict[str, list[str]]) -> dict:
    """The measures of a state, kept beside it: an interrupted command goes on with the next model."""
    kept = path.with_name("measures.json")
    if not kept.is_file() or kept.stat().st_mtime < path.stat().st_mtime:
        print(f"Measuring {path.parent.name}", flush=True)
        write_whole(kept, json.dumps(measure(path, recipe, texts)))
    return json.loads(kept.read_text(encoding="utf-8"))


def held_texts(data: dict, count: int) -> dict[str, list[str]]:
    """As many texts of each domain, at even distances through what was held out."""
    found = {}
    for name, parts in data.items():
        pieces = samples(parts["held"].tobytes().decode("utf-8", "ignore"), LENGTH)
        found[name] = [pieces[int(place)] for place in np.linspace(0, len(pieces) - 1, count)]
    return found


def opened(path: Path, recipe: Recipe, scratch: str) -> TransformersEngine:
    """A state as it would be shipped: in 16 bits, through the door that readers use."""
    folder = Path(scratch) / name_of(recipe)
    export_one(recipe, path, folder)
    return TransformersEngine(card_of_folder(folder), folder)


def measure(path: Path, recipe: Recipe, texts: dict[str, list[str]]) -> dict:
    with tempfile.TemporaryDirectory() as scratch, opened(path, recipe, scratch) as model:
        found = {"bits per byte": bits_of(model, texts)}
        if recipe.dense:
            return found
        trained = followed(model, texts)
        with inside.untrained(model, recipe.seed) as twin:
            found |= {"layers": trained, "untrained layers": followed(twin, texts)}
        found["damage"] = damage(
            model, {name: some[:: len(some) // ABLATION_TEXTS][:ABLATION_TEXTS] for name, some in texts.items()}
        )
    return found


def bits_of(model, texts: dict[str, list[str]]) -> dict[str, float]:
    return {name: mean(bits_per_byte(model.logprobs(one), one) for one in some) for name, some in texts.items()}


def followed(model, texts: dict[str, list[str]]) -> list[dict]:
    """For each layer: what its experts tell about domain and kind of byte, and how evenly they are used."""
    domains = [name for name, some in texts.items() for _ in some]
    routings = [inside.routing(model, one) for some in texts.values() for one in some]
    shuffled = random.Random(0).sample(domains, len(domains))
    kind_labels, rows = [inside.kinds(one) for one in routings], []
    for layer in routings[0].layers:
        load = inside.shares_by(["all"] * len(routings), routings, layer)["all"]
        rows.append({
            "domain": inside.information(domains, routings, layer),
            "domain, labels shuffled": inside.information(shuffled, routings, layer),
            "kind of byte": inside.information(kind_labels, routings, layer),
            "load": sorted(load.tolist()),
            "spread": float(np.std(load) / np.mean(load)),
        })  # fmt: skip
    return rows


def damage(model, texts: dict[str, list[str]]) -> list[dict[str, list[float]]]:
    """For each layer and domain, the bits per byte that are lost with each expert switched off."""
    whole = bits_of(model, texts)
    routing = inside.routing(model, next(iter(texts.values()))[0])
    layers = []
    for layer in routing.layers:
        without = []
        for expert in range(routing.expert_count):
            with inside.without_expert(model, layer, expert):
                without.append(bits_of(model, texts))
        layers.append({name: [one[name] - whole[name] for one in without] for name in texts})
    return layers


def speeds(work: Path, rounds: int = 7) -> dict[str, float]:
    """Tokens per second, mixture and dense in turns: 400 bytes read, 100 written; medians, and their ratio."""
    text, taken = "the quick brown fox jumps over it " * 12, {}
    with tempfile.TemporaryDirectory() as scratch:
        recipes = {"moe": Recipe(), "dense": Recipe(dense=True)}
        models = {kind: opened(folder_of(one, work) / "state.pt", one, scratch) for kind, one in recipes.items()}
        for turn in range(rounds + 1):
            for kind, model in models.items():
                began = perf_counter()
                model.logprobs(text[:400])
                read = 400 / (perf_counter() - began)
                metrics = model.complete("x", max_tokens=100).metrics
                if turn:
                    taken.setdefault(f"{kind} reads", []).append(read)
                    taken.setdefault(f"{kind} writes", []).append(metrics.decode_tokens_per_s)
    found = {name: median(values) for name, values in taken.items()}
    ratios = {f"moe to dense, {way}": found[f"moe {way}"] / found[f"dense {way}"] for way in ("reads", "writes")}
    return found | ratios


def rounded(node):
    """The figures with four digits, which is more than the texts can bear."""
    if isinstance(node, dict):
        return {key: rounded(value) for key, value in node.items()}
    if isinstance(node, list):
        return [rounded(value) for value in node]
    return float(f"{node:.4g}") if isinstance(node, float) else node
