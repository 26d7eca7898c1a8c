"""runtimes.facts: data/runtimes.toml, versions, and the one line that installs a runtime."""

import re
from dataclasses import replace

import pytest

from course.runtimes import facts as room
from course.runtimes.facts import facts, facts_of, this_platform
from slmlab.catalog import DATA
from slmlab.errors import UnknownName


def test_every_runtime_says_what_it_is_for_and_when_to_choose_it():
    for one in facts().values():
        assert one.what.endswith(".") and one.choose.endswith(".") and one.source and one.install and one.package


def test_the_line_for_one_names_the_tested_version():
    pinned = re.search(r"^xllamacpp==(\S+)", (DATA / "environments/runtimes.txt").read_text(), re.M)[1]
    assert facts_of("llama.cpp").install_line() == f"python -m pip install xllamacpp=={pinned}"
    assert re.fullmatch(r'python -m pip install "mlx\[cpu\]==[\d.]+" mlx-lm==[\d.]+', facts_of("mlx").install_line())


@pytest.mark.parametrize("id", ["llama.cpp", "openvino", "mlx"])
def test_every_pin_is_new_enough(id):
    one = facts_of(id)
    assert room._numbers(room.pins()[one.package]) >= room._numbers(one.at_least)


def test_the_line_for_all_names_a_file_that_is_there():
    assert (DATA.parent / room.EVERY.split()[-1]).is_file()


def test_a_package_that_is_not_here_is_a_line_to_type():
    missing = replace(facts_of("llama.cpp"), package="no-such-package")
    assert missing.version() is None and missing.need() == missing.install_line()


def test_a_package_that_is_too_old_is_a_line_and_the_reason():
    old = replace(facts_of("onnx"), at_least="99.1")
    assert old.need().startswith(old.install_line()) and "99.1 or later" in old.need()
    assert facts_of("onnx").need() is None


def test_a_platform_without_a_build_is_said_plainly():
    other = replace(facts_of("mlx"), runs_on=("Darwin arm64",) if this_platform() != "Darwin arm64" else ("AIX",))
    assert other.need().startswith(f"MLX has no build for {this_platform()}. It runs on: ")


def test_a_runtime_that_nobody_knows_is_refused_with_the_near_ones():
    with pytest.raises(UnknownName, match="Unknown runtime 'opnvino'. Available: openvino"):
        facts_of("opnvino")
