# SPDX-License-Identifier: Apache-2.0
"""What is needed to install the software says the same everywhere."""

import re
import tomllib
from pathlib import Path

import pytest
import yaml
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

ROOT = Path(__file__).parents[1]
CONTAINERS = ROOT / "docs" / "containers"
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
CONDA = {"dask-core": "dask", "matplotlib-base": "matplotlib"}
"""Packages that conda-forge calls otherwise."""


def pinned() -> dict[str, str]:
    lines = (CONTAINERS / "constraints.txt").read_text().splitlines()
    return dict(line.split("==") for line in lines if not line.startswith("#"))


@pytest.mark.parametrize("extra", ["", "hpc", "download"])
def test_every_dependency_is_pinned_to_a_version_that_is_allowed(extra: str) -> None:
    wanted = PROJECT["optional-dependencies"][extra] if extra else PROJECT["dependencies"]
    pins = pinned()
    for requirement in map(Requirement, wanted):
        assert requirement.specifier.contains(pins[canonicalize_name(requirement.name)])


def test_pins_are_versions_alone() -> None:
    assert all(re.fullmatch(r"\d[\w.]*", version) for version in pinned().values())


def test_the_recipe_asks_for_what_the_project_asks_for() -> None:
    recipe = yaml.safe_load((CONTAINERS / "recipe.yaml").read_text())
    assert recipe["context"]["version"] == PROJECT["version"]
    run = [Requirement(line.replace(" ", "")) for line in recipe["requirements"]["run"]]
    found = {CONDA.get(one.name, one.name): one.specifier for one in run}
    assert found.pop("python") == Requirement("x" + PROJECT["requires-python"]).specifier
    assert found == {one.name: one.specifier for one in map(Requirement, PROJECT["dependencies"])}


@pytest.mark.parametrize("name", ["Dockerfile", "rsei.def"])
def test_images_hold_the_python_that_was_tested_and_extras_that_exist(name: str) -> None:
    text = (CONTAINERS / name).read_text()
    assert "python:3.11-slim" in text and "on Python 3.11" in pins_head()
    for extras in re.findall(r"EXTRAS=([\w,]+)", text):
        assert set(extras.split(",")) <= set(PROJECT["optional-dependencies"])
    for path in re.findall(r"docs/containers/[\w.]+", text):
        assert (ROOT / path).is_file()


def pins_head() -> str:
    return (CONTAINERS / "constraints.txt").read_text().splitlines()[0]


def test_every_source_file_names_its_licence() -> None:
    folders = ("engine", "kernels", "cli", "benchmarks", "tests", "docs")
    files = [path for folder in folders for path in (ROOT / folder).rglob("*.py")]
    line = f"# SPDX-License-Identifier: {PROJECT['license']}"
    without = [path.name for path in files if path.read_text().split("\n", 1)[0] != line]
    assert len(files) > 300 and without == []


def test_the_citation_is_of_this_version() -> None:
    cited = yaml.safe_load((ROOT / "CITATION.cff").read_text())
    assert cited["cff-version"] == "1.2.0" and cited["type"] == "software"
    assert (cited["version"], cited["license"]) == (PROJECT["version"], PROJECT["license"])
    assert cited["title"] and cited["message"] and cited["authors"]
    for reference in cited["references"]:
        assert reference["type"] and reference["title"] and reference["authors"]
