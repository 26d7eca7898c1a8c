"""The exercises of lesson 01: size, memory, speed."""

from course.answers import returned
from course.exercises.registry import exercise
from slmlab.catalog import card


@exercise("size-1", cases=[(3.8e9, 16), (3.8e9, 4), (134_515_008, 8)],
          told="`weights_gb({parameters:g}, {bits})` gave {value:.4g}",
          otherwise=", and {right:.4g} is right", mistakes=[
    ("those are gigabits, and a byte has 8 bits", lambda parameters, bits: parameters * bits / 1e9),
    ("those are bytes, and a GB is a thousand million of them", lambda parameters, bits: parameters * bits / 8),
    ("that counts in GiB (1024³); take a GB as 10⁹ bytes, as file sizes are published",
     lambda parameters, bits: parameters * bits / 8 / 2**30),
])  # fmt: skip
def weights_gb(parameters, bits):
    return parameters * bits / 8 / 1e9


@exercise("size-2", cases=[(32, 32, 96, 4096, 2), (32, 8, 128, 131_072, 2), (30, 3, 64, 1000, 4)],
          told="`kv_cache_gb({layers}, {kv_heads}, {head_size}, {tokens}, {bytes_per_number})` gave {value:.4g}",
          otherwise=", and {right:.4g} is right", mistakes=[
    ("half of it is missing, for each token keeps a key and a value",
     lambda layers, heads, size, tokens, each: layers * heads * size * tokens * each / 1e9),
    ("those are bytes, and GB are wanted",
     lambda layers, heads, size, tokens, each: 2 * layers * heads * size * tokens * each),
])  # fmt: skip
def kv_cache_gb(layers, kv_heads, head_size, tokens, bytes_per_number):
    return 2 * layers * kv_heads * head_size * tokens * bytes_per_number / 1e9


def _why(one) -> str:
    if one.parameters is None:
        return "nobody published its size, so don't promise that it fits"
    size = f"its {one.parameters / 1e9:.3g}B parameters take {one.parameters / 2e9:.3g} GB at half a byte each"
    active = one.active_parameters
    return f"{active / 1e9:.2g}B of them are active, and still {size}" if active < one.parameters else size


_MACHINES = (("phi-3.5-mini", 8), ("phi-3.5-mini", 1.5), ("phi-3-medium", 12), ("phi-3.5-moe", 8), ("gpt-4", 8))


@exercise("size-3", cases=[(card(name), ram_gb, _why(card(name))) for name, ram_gb in _MACHINES], reads=returned,
          told="for {card.name} and {ram_gb:g} GB it gave {shown}", otherwise=": {why}")  # fmt: skip
def fits(card, ram_gb):
    if card.parameters is None:
        return False
    return card.parameters * 4 / 8 / 1e9 <= ram_gb


@exercise("speed-1", cases=[(150e6, 50e9), (7.6e9, 50e9), (2e9, 100e9)],
          told="`speed_limit({weights_bytes:g}, {bytes_per_s:g})` gave {value:.4g}",
          otherwise=", and {right:.4g} is right: how often per second can all the weights be read?",
          mistakes=[("that is seconds per token, so turn it over", lambda weights, rate: weights / rate)])  # fmt: skip
def speed_limit(weights_bytes, bytes_per_s):
    return bytes_per_s / weights_bytes
