"""hardware: whether a model fits, on machines made by hand."""

import dataclasses

import pytest

from slmlab import machine as hardware
from slmlab.catalog import card
from slmlab.errors import BadRequest, UnknownName
from slmlab.machine import GPU_SERVER, LAPTOP, PHONE, Fit, Machine, will_it_fit

GB = 10**9
ROOMY = Machine(ram_total_bytes=2000 * GB, disk_free_bytes=2000 * GB)


def with_ram(free, total=None):
    return Machine(ram_total_bytes=total or free, ram_available_bytes=free)


def test_a_report_has_a_row_for_each_precision_in_order():
    report = will_it_fit("phi-3.5-mini", machine=LAPTOP)
    assert [fit.precision for fit in report] == ["fp32", "bf16", "int8", "int4"]
    assert len(report) == 4 and report[3] is report["int4"]


def test_the_total_is_weights_and_cache_and_runtime():
    fit = will_it_fit("phi-4-mini", "bf16", context=1000, machine=ROOMY)[0]
    assert fit.weights_bytes == card("phi-4-mini").parameters * 2
    assert fit.kv_bytes == 1000 * 128 * 1024
    assert fit.overhead_bytes == 400_000_000 + int(fit.weights_bytes * 0.05)
    assert fit.total_bytes == fit.weights_bytes + fit.kv_bytes + fit.overhead_bytes


@pytest.mark.parametrize("measured", [("int8", 335e6), ("int4", 251e6), ("fp32", 913e6), ("bf16", 676e6)])
def test_the_estimate_is_above_what_the_bundled_model_was_measured_to_take(measured):
    precision, resident = measured
    assert resident < will_it_fit("smollm2-135m", precision, context=600, machine=ROOMY)[0].total_bytes < 2.8 * resident


def test_onnx_on_a_cpu_keeps_its_cache_in_fp32():
    report = will_it_fit("phi-3.5-mini", machine=ROOMY)
    assert report["int4"].kv_bytes == report["fp32"].kv_bytes == 2 * report["bf16"].kv_bytes


def test_the_context_is_a_sensible_one_unless_asked():
    assert will_it_fit("phi-3.5-mini", machine=ROOMY)[0].context == 4096
    assert will_it_fit("phi-3.5-mini", context=131_072, machine=ROOMY)[0].context == 131_072


def test_a_context_over_the_limit_is_refused_with_both_numbers():
    with pytest.raises(BadRequest, match=r"at most 4,096 .* not 4,097"):
        will_it_fit("phi-3-mini", context=4097, machine=ROOMY)


@pytest.mark.parametrize("context", [-1, 0, True, 2.5, "many", float("nan"), float("inf")])
def test_an_absurd_context_is_refused(context):
    with pytest.raises(BadRequest, match="number of tokens, 1 or more"):
        will_it_fit("phi-3-mini", context=context, machine=ROOMY)


def test_a_context_without_end_is_refused_even_for_a_small_model():
    with pytest.raises(BadRequest, match="8,192"):
        will_it_fit("smollm2-135m", context=10**30, machine=ROOMY)


def test_an_unknown_model_or_precision_is_refused():
    with pytest.raises(UnknownName, match="phi-4-mini"):
        will_it_fit("phi-4-min", machine=ROOMY)
    with pytest.raises(BadRequest, match="int4"):
        will_it_fit("phi-4-mini", "int2", machine=ROOMY)


def test_the_verdict_follows_the_free_memory():
    needed = will_it_fit("phi-4-mini", "int4", machine=ROOMY)[0].total_bytes

    def verdict(free, total=None):
        return will_it_fit("phi-4-mini", "int4", machine=with_ram(free, total))[0].verdict

    assert verdict(int(needed / 0.9) + 1) == "fits"
    assert verdict(needed) == "tight", "it leaves nothing for the rest"
    assert verdict(needed - 1) == "too big"
    assert verdict(needed // 2, total=needed * 2) == "tight", "closing other programs would help"


def test_closing_programs_is_advised_only_where_it_helps():
    helps = will_it_fit("phi-4-mini", "int4", machine=with_ram(4 * GB, 16 * GB))[0]
    assert "close other programs" in helps.sentence and not helps.fits_ram
    assert "close" not in will_it_fit("phi-4-mini", "int4", machine=with_ram(2 * GB))[0].sentence


def test_the_moe_needs_memory_for_all_and_compute_for_some():
    fit = will_it_fit("phi-3.5-moe", "int4", machine=LAPTOP)[0]
    assert fit.weights_bytes > 20 * GB
    assert "Memory holds all 41.9 billion parameters" in fit.sentence
    assert "each token computes with 6.64 billion, as in a dense model of that size" in fit.sentence
    assert fit.parameters == 41_873_153_344 and fit.flops_per_token == 2 * 6_640_999_744


def test_a_model_that_fits_only_the_gpu_fits():
    gpu = Machine(ram_total_bytes=4 * GB, vram_bytes=24 * GB)
    fit = will_it_fit("mistral-7b", "bf16", machine=gpu)[0]
    assert (fit.fits_ram, fit.fits_vram, fit.verdict) == (False, True, "fits")
    assert "GPU" in fit.sentence


def test_a_busy_gpu_counts_with_what_is_free_of_it():
    busy = Machine(ram_total_bytes=4 * GB, vram_bytes=24 * GB, vram_free_bytes=2 * GB)
    assert will_it_fit("mistral-7b", "bf16", machine=busy)[0].fits_vram is False


def test_the_moe_in_bf16_is_too_big_for_one_80_gb_gpu():
    assert will_it_fit("phi-3.5-moe", "bf16", machine=GPU_SERVER)[0].fits_vram is False


def test_a_full_disk_decides_unless_the_weights_are_already_there():
    full = dataclasses.replace(ROOMY, disk_free_bytes=GB)
    fit = will_it_fit("phi-4-mini", "int4", machine=full)[0]
    assert (fit.verdict, fit.fits_disk) == ("too big", False) and "disk" in fit.sentence
    assert will_it_fit("phi-4-mini", "int4", machine=full, on_disk=True)[0].verdict == "fits"


def test_the_bundled_model_takes_its_wheel_its_fp32_form_and_the_one_that_runs():
    fit = will_it_fit("smollm2-135m", "int8", machine=ROOMY)[0]
    assert fit.download_bytes == 92_871_040
    assert fit.disk_bytes == 98_362_432 + 134_515_008 * 4 + fit.weights_bytes


def test_a_download_is_stated_only_where_it_is_published():
    assert will_it_fit("phi-3.5-vision", "int4", machine=ROOMY)[0].download_bytes == 3_200_000_000
    assert will_it_fit("phi-3.5-moe", "int4", machine=ROOMY)[0].download_bytes is None
    assert "published" in will_it_fit("phi-3.5-vision", "int4", machine=ROOMY)[0].sentence


def test_a_model_of_unknown_size_is_unknown_and_never_zero():
    for fit in will_it_fit("gpt-4", machine=GPU_SERVER):
        assert fit.verdict == "unknown" and "OpenAI" in fit.sentence
        assert fit.weights_bytes is fit.kv_bytes is fit.total_bytes is fit.fits_ram is fit.disk_bytes is None


def test_a_machine_of_unknown_memory_is_unknown():
    fit = will_it_fit("phi-4-mini", "int4", machine=Machine())[0]
    assert (fit.verdict, fit.fits_ram, fit.fits_vram, fit.fits_disk) == ("unknown", None, None, None)


def test_a_phone_runs_what_a_phone_runs():
    assert will_it_fit("smollm2-135m", "int4", machine=PHONE)[0].verdict == "fits"
    assert will_it_fit("phi-3.5-mini", "int4", context=1024, machine=PHONE)[0].verdict in ("fits", "tight")
    assert will_it_fit("phi-3.5-mini", "int4", context=131_072, machine=PHONE)[0].verdict == "too big"


def test_a_long_context_is_named_as_what_does_not_fit():
    assert "a smaller context helps" in will_it_fit("phi-3.5-mini", "int4", context=131_072, machine=PHONE)[0].sentence


def test_without_a_machine_it_is_this_one(monkeypatch):
    monkeypatch.setattr(hardware, "_this_machine", lambda: PHONE)
    assert will_it_fit("smollm2-135m").machine is PHONE


@pytest.mark.parametrize("name", ["phi-3.5-moe", "gpt-4"])
def test_a_report_reads_as_text_and_as_a_table(name):
    report = will_it_fit(name, machine=LAPTOP)
    for fit in report:
        assert isinstance(fit, Fit)
        assert fit.sentence in str(report)
        assert fit.verdict in report._repr_html_()
    assert "a laptop" in str(report) and report._repr_html_().count("<tr>") == 5


def test_a_precision_that_was_not_asked_for_is_not_in_the_report():
    with pytest.raises(BadRequest, match="There is: int4"):
        will_it_fit("phi-4-mini", "int4", machine=LAPTOP)["bf16"]


@pytest.mark.parametrize("machine", [5, "laptop", []])
def test_a_machine_that_is_none_is_refused(machine):
    with pytest.raises(BadRequest, match="is no slmlab.machine.Machine"):
        will_it_fit("phi-4-mini", machine=machine)
