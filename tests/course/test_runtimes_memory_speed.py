"""bandwidth: figures with the right shape; how large they are is the machine's business."""

from course.runtimes.memory_speed import Bandwidth, Bandwidths, bandwidth


def test_every_size_is_read_with_every_number_of_threads():
    found = list(bandwidth((1_000_000, 4_000_000), (1, 2), runs=2))
    assert [(one.size_bytes, one.threads) for one in found] == [
        (1_000_000, 1), (1_000_000, 2), (4_000_000, 1), (4_000_000, 2)
    ]  # fmt: skip
    assert all(1e8 < one.bytes_per_s <= one.best_bytes_per_s < 1e13 for one in found)


def test_it_is_a_table_with_sizes_in_words():
    shown = Bandwidths((Bandwidth(64_000_000, 2, 42e9, 45e9),))
    assert "64.0 MB" in str(shown) and "42.0 GB" in str(shown) and "45.0 GB" in shown._repr_html_()
