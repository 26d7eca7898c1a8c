"""bandwidth: figures with the right shape; how large they are is the machine's business."""

from time import perf_counter

import pytest

from course.runtimes.memory_speed import Bandwidth, Bandwidths, bandwidth
from slmlab.errors import BadRequest


def test_every_size_is_read_with_every_number_of_threads():
    found = list(bandwidth((1_000_000, 4_000_000), (1, 2), runs=2))
    assert [(one.size_bytes, one.threads) for one in found] == [
        (1_000_000, 1), (1_000_000, 2), (4_000_000, 1), (4_000_000, 2)
    ]  # fmt: skip
    assert all(1e8 < one.bytes_per_s <= one.best_bytes_per_s < 1e13 for one in found)


def test_the_usual_measurement_is_short():
    began = perf_counter()
    bandwidth()
    assert perf_counter() - began < 30, "seconds on an idle machine; the margin is for a busy one"


def test_it_is_a_table_with_sizes_in_words():
    shown = Bandwidths((Bandwidth(64_000_000, 2, 42e9, 45e9),))
    assert "64.0 MB" in str(shown) and "42.0 GB" in str(shown) and "45.0 GB" in shown._repr_html_()


@pytest.mark.parametrize(
    "wrong", [{"sizes_bytes": (10,)}, {"threads": (0,)}, {"threads": ()}, {"runs": 0}, {"threads": (True,)}]
)
def test_what_can_not_be_measured_is_refused(wrong):
    with pytest.raises(BadRequest, match=f"{next(iter(wrong))}="):
        bandwidth(**wrong)
