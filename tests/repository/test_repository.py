"""The files of the house agree: pins, package, conda, CI, README; and the packages have no more names than promised."""

import ast
import re
import subprocess
import sys
import tomllib
from importlib import import_module
from pathlib import Path

import nbformat
import pytest
import yaml
from packaging.requirements import Requirement
from packaging.specifiers import SpecifierSet

from setup.machine import NEWEST, OLDEST
from setup.packages import pins as setup_pins
from slmlab.__main__ import _parser
from tests.conftest import LESSONS, ROOT
from tools.badges import BADGE, address, rewrite
from tools.normal_form import CODE

MOST_NAMES = {"slmlab": 16, "course": 18, "endpoint": 13}


def read(name):
    return (ROOT / name).read_text(encoding="utf-8")


README = read("README.md")
PROJECT = tomllib.loads(read("pyproject.toml"))["project"]
EXTRAS = {"runtimes", "hearing", "site", "scale", "class"}  # extras with a list of their own
OWN = [f"data/environments/{one}.txt" for one in sorted(EXTRAS)]


def pins(file="requirements.txt"):
    """Package to version, as requirements.txt has them; each with a reason."""
    found = {}
    for row in read(file).splitlines():
        if row and not row.startswith(("#", "-e")):
            match = re.fullmatch(r"([A-Za-z0-9-]+)(?:\[\w+\])?==(\d[\w.]*)(?: ; [^#]+)? +# .{10,}", row)
            assert match, f"not `name==version  # reason`: {row}"
            found[match[1].lower()] = match[2]
    return found


def bounds(*extras):
    """Package to its bounds in pyproject.toml: those of some extras, or all but those with a list of their own."""
    optional = PROJECT["optional-dependencies"]
    lines = [line for extra in extras or set(optional) - EXTRAS for line in optional[extra]]
    lines += [] if extras else PROJECT["dependencies"]
    return {re.match(r"[A-Za-z0-9-]+", line)[0].lower(): line for line in lines}


# Pins


def test_every_pin_has_a_bound_that_holds_for_it_and_a_reason():
    own = [(bounds(Path(one).stem), pins(one)) for one in OWN]
    for loose, exact in ((bounds(), pins()), *own):
        assert set(loose) == set(exact)
        for name, line in loose.items():
            requirement = Requirement(line)
            assert requirement.specifier, f"{name} has no lower bound"
            assert exact[name] in requirement.specifier, f"{line} does not allow the pin {exact[name]}"
    assert read("requirements.txt").rstrip().splitlines()[-1] == "-e ."


def names_of(pins):
    return [pin.partition("==")[0] for pin in pins]


def test_the_lock_has_every_pin_a_wheel_for_each_python_and_system_and_what_lesson_00_needs_without_torch():
    lock = {}
    for package in tomllib.loads(read("uv.lock"))["package"]:
        lock.setdefault(package["name"], []).append(package)
    for name, version in [pin for one in ("requirements.txt", *OWN) for pin in pins(one).items()]:
        assert [one["version"] for one in lock[name]] == [version], f"{name}: run python -m tools.lock"
    assert set(lock["slmlab"][0]["optional-dependencies"]) == set(PROJECT["optional-dependencies"])
    torch = " ".join(wheel["url"] for wheel in lock["torch"][0]["wheels"])
    for minor in range(OLDEST[1], NEWEST[1] + 1):
        for system in ("manylinux_2_28_x86_64", "manylinux_2_28_aarch64", "macosx_14_0_arm64", "win_amd64"):
            assert f"cp3{minor}-cp3{minor}-{system}" in torch, f"torch has no wheel for 3.{minor} on {system}"
    found, seen = names_of(setup_pins(later=False)), set()
    while found:
        name = found.pop()
        seen.add(name)
        found += {one["name"] for version in lock[name] for one in version.get("dependencies", ())} - seen
    assert not seen & set(names_of(setup_pins(later=True))), "the first lesson waits for what may come later"


def test_lab_conda_and_the_package_take_the_same_pythons_and_packages():
    taken = SpecifierSet(PROJECT["requires-python"])
    minors = [(3, minor) for minor in range(6, 20) if f"3.{minor}.5" in taken]
    assert (minors[0], minors[-1]) == (OLDEST, NEWEST)
    assert f"3.{OLDEST[1]} to 3.{NEWEST[1]}" in read("data/images/python.svg"), "the badge"
    text = read("environment.yml")
    assert "-r requirements.txt" in text and f"python {PROJECT['requires-python']}" in text
    assert not [name for name in pins() if re.search(rf"^\s*- {re.escape(name)}\b", text, re.MULTILINE)]
    assert f"torch=={pins()['torch']}+cpu" in text, "the hint for Linux names another torch than the pin"


def test_every_action_is_pinned_to_a_commit_and_line_ends_are_the_same_everywhere():
    flows = sorted((ROOT / ".github/workflows").glob("*.yml"))
    used = [one for flow in flows for one in re.findall(r"uses: (.+)", flow.read_text(encoding="utf-8"))]
    assert used and all(re.fullmatch(r"[\w./-]+@[0-9a-f]{40} # v[\d.]+", one) for one in used)
    assert "eol=lf" in read(".gitattributes"), "notebooks are compared byte by byte, data by hash"


def test_citation_and_changelog_name_the_version_of_the_package():
    cited = yaml.safe_load(read("CITATION.cff"))
    assert cited["version"] == PROJECT["version"] and cited["repository-code"] == PROJECT["urls"]["Repository"]
    assert re.search(r"^## (\S+)", read("CHANGELOG.md"), re.MULTILINE)[1] == PROJECT["version"]


# Names


def test_each_package_has_few_names_and_every_one_resolves():
    for package, most in MOST_NAMES.items():
        module = import_module(package)
        assert len(module.__all__) <= most, f"{package} has {len(module.__all__)} names, and {most} are the most"
        missing = [name for name in module.__all__ if not hasattr(module, name)]
        assert not missing, f"{package} has no {missing}"
        stub = ROOT / package / "__init__.pyi"  # what editors and type checkers see where names are fetched late
        if stub.exists():
            assert set(re.findall(r" as (\w+)$", stub.read_text(), re.MULTILINE)) == set(module.__all__)


def test_the_first_cells_of_a_lesson_and_the_doctor_load_nothing_heavy():
    runtimes, others = {"numpy", "torch", "transformers", "onnxruntime"}, {"matplotlib", "psutil"}
    whole = runtimes | others | {"pydantic", "openai", "tabulate", "PIL"}
    for code, heavy in (
        ("import slmlab; from slmlab import plots", whole | {"statistics", "dataclasses"}),
        ("import slmlab; slmlab.cards(), slmlab.services(), slmlab.measure", whole),
        ("from course import check, quiz, progress; progress()", runtimes | others | {"ipywidgets"}),
        ("from course.doctor import examine; str(examine())", runtimes),
    ):
        asked = f"import sys; {code}; print({heavy} & set(sys.modules) or 'nothing')"
        told = subprocess.run([sys.executable, "-c", asked], capture_output=True, text=True).stdout
        assert told.strip() == "nothing", f"a reader waits for it: {code}"


def test_no_lesson_imports_deeper_than_the_packages_own_names():
    deep = {}
    for path in LESSONS:
        for cell in nbformat.read(path, as_version=4).cells:
            if cell.cell_type == "code" and (found := list(deep_imports(cell.source))):
                deep.setdefault(path.name, []).extend(found)
    assert not deep


def deep_imports(source):
    code = "\n".join(line for line in source.splitlines() if not line.lstrip().startswith(("%", "!")))
    for node in ast.walk(ast.parse(code)):
        if isinstance(node, ast.Import):
            yield from (one.name for one in node.names if one.name.partition(".")[0] in MOST_NAMES and "." in one.name)
        if isinstance(node, ast.ImportFrom) and node.module.partition(".")[0] in MOST_NAMES:
            if "." in node.module:
                yield node.module
            else:
                names = import_module(node.module).__all__
                yield from (f"{node.module}.{one.name}" for one in node.names if one.name not in names)


# README


def page(path):
    """The words of a page or a lesson, without code."""
    cells = nbformat.read(path, as_version=4).cells if path.suffix == ".ipynb" else ()
    prose = [cell.source for cell in cells if cell.cell_type == "markdown"] or [path.read_text(encoding="utf-8")]
    return CODE.sub("", "\n".join(prose))


def test_every_link_of_a_page_or_lesson_leads_to_a_file_and_a_heading():
    pages = [*ROOT.glob("*.md"), *ROOT.glob("[!.]*/**/*.md"), *ROOT.glob(".github/**/*.md"), *LESSONS]
    lost = []
    for path in (one for one in pages if "node_modules" not in one.parts):
        for link in re.findall(r"\]\(([^)\s]+)\)", page(path)):
            name, _, heading = link.partition("#")
            target = path.parent / name if name else path
            heads = re.findall(r"^#+ (.+)$", page(target), re.MULTILINE) if heading and target.is_file() else ()
            known = {re.sub(r"[^\w -]", "", head.lower()).replace(" ", "-") for head in heads}
            if "://" not in link and not (target.exists() and (not heading or heading in known)):
                lost.append(f"{path.relative_to(ROOT)}: {link}")
    assert len(pages) > 12 and not lost


def test_one_line_and_one_command_give_a_fork_its_own_badges(tmp_path):
    pages = [ROOT / "README.md", *LESSONS]
    other = [path.name for path in pages if BADGE.format(address()) not in path.read_text(encoding="utf-8")]
    assert not other, "run: python -m tools.badges"
    (tmp_path / "README.md").write_text(README)
    (tmp_path / "pyproject.toml").write_text('[project.urls]\nRepository = "https://github.com/ann/my.lab"')
    assert rewrite(tmp_path) == ["README.md"] and rewrite(tmp_path) == []
    badges = (tmp_path / "README.md").read_text()
    assert address() not in badges and BADGE.format("ann/my.lab") in badges and "ann/my.lab/actions" in badges


def test_every_command_of_the_readme_is_real():
    assert re.search(r"^python lab\.py\b", README, re.MULTILINE) and "python lab.py test" in README
    for command in re.findall(r"python -m slmlab (\w+)", README):
        with pytest.raises(SystemExit) as ended:
            _parser().parse_args([command, "--help"])
        assert ended.value.code == 0, command
