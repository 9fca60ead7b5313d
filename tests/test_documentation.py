# SPDX-License-Identifier: Apache-2.0
"""What the documentation says is true: its code runs, its tables are current, its links lead on."""

import doctest
import importlib
import importlib.util
import json
import os
import pkgutil
import re
import shutil
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import rasterio
import studies
import typer
import xarray as xr

import rsei.engine
import rsei.kernels
from rsei.cli.main import app
from rsei.engine.run import reading
from rsei.kernels.launch import Kernel

ROOT = Path(__file__).parents[1]
PAGES = [
    *ROOT.glob("*.md"),
    *(ROOT / "docs").rglob("*.md"),
    *(ROOT / "examples").rglob("*.md"),
    ROOT / "kernels" / "README.md",
]
EXAMPLES = sorted((ROOT / "examples").rglob("*.toml"))
MOST_CHANGED = 40
"""Lines that a change shown in CONTRIBUTING may add and remove."""


def blocks(path: Path, language: str) -> list[str]:
    """The code blocks of a page in one language."""
    return re.findall(rf"^```{language}\n(.*?)^```$", path.read_text(), re.DOTALL | re.MULTILINE)


def with_blocks(language: str, pages: list[Path] = PAGES) -> list[Any]:
    return [
        pytest.param(path, block, id=f"{path.relative_to(ROOT)}-{number}")
        for path in pages
        for number, block in enumerate(blocks(path, language))
    ]


def script(name: str) -> Any:
    """A module of the docs' folder, which is no package."""
    spec = importlib.util.spec_from_file_location(name, ROOT / "docs" / f"{name}.py")
    assert spec and spec.loader
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.mark.parametrize("name", ["api.md", "commands.md", "products.md", "study.md", "tables.md"])
def test_reference_is_current(name: str) -> None:
    page = (ROOT / "docs" / "reference" / name).read_text()
    assert page == script("generate").pages()[name], "run: python docs/generate.py"


def test_speed_is_what_was_measured_last() -> None:
    text = (ROOT / "README.md").read_text()
    assert text == script("speed").readme(), "run: python docs/speed.py"


MINIMAL = {
    "study": {"name": "small", "out": "run", "epochs": [2001, 2010, 2019]},
    "granules": {"path": "granules"},
    "area": [{"name": "Small", "bounds": [117.8, 39.4, 118.6, 40.0]}],
}


@pytest.mark.parametrize(("page", "text"), with_blocks("toml"))
def test_settings_load(page: Path, text: str, tmp_path: Path) -> None:
    """Sections that a page leaves out are those of a minimal study."""
    shown = tomllib.loads(text)
    missing = [name for name in MINIMAL if name not in shown]
    base = [_section(name) for name in missing]
    reading.parse("\n".join([*base, text]).encode(), tmp_path / "study.toml")


def _section(name: str) -> str:
    value: Any = MINIMAL[name]
    rows = value[0] if isinstance(value, list) else value
    header = f"[[{name}]]" if isinstance(value, list) else f"[{name}]"
    return "\n".join([header, *(f"{key} = {val!r}" for key, val in rows.items())])


@pytest.mark.slow
def test_munich_is_as_described(real_data: Path, tmp_path: Path) -> None:
    """The figures of the README and of the example, those of an independent trial."""
    text = (ROOT / "examples" / "munich" / "study.toml").read_text()
    path = tmp_path / "study.toml"
    path.write_text(text.replace("munich-2022", str(real_data / "munich-2022")))
    outcome = studies.run(path, until=None)
    with rasterio.open(outcome.out / "indicators/munich/2022.tif") as file:
        layers = dict(zip(file.descriptions, file.read()))
    valid = layers["valid"] == 1
    ndvi, wet, ndbsi, heat = (layers[name][valid] for name in ("ndvi", "wet", "ndbsi", "lst"))
    medians = [f"{np.median(layer):.3f}" for layer in (ndvi, wet, ndbsi)]
    scaled = [(layer - layer.min()) / np.ptp(layer) for layer in (ndvi, wet, ndbsi)]
    shares = np.linalg.eigvalsh(np.cov(np.array(scaled, np.float64)))
    pca = pd.read_csv(outcome.out / "tables/pca.csv").iloc[0]
    loadings = [f"{pca[name]:.3f}" for name in ("ndvi", "wet", "ndbsi", "lst")]
    for page in (ROOT / "README.md", ROOT / "examples" / "munich" / "README.md"):
        said = page.read_text().replace("−", "-")  # noqa: RUF001
        figures = [f"{valid.sum():,}", *medians, f"{100 * shares[-1] / shares.sum():.1f}"]
        for figure in [*figures, *loadings, f"{pca['pc1']:.1f}"]:
            assert figure in said, f"{page.relative_to(ROOT)}: {figure}"
    assert f"{np.median(heat):.1f} K" in said
    assert pca["agreement"]


@pytest.mark.slow
def test_tutorial_tells_what_the_demo_finds(demo: Path) -> None:
    tables = demo / "run" / "tables"
    page = (ROOT / "docs" / "tutorial.md").read_text()
    contrast = pd.read_csv(tables / "contrast.csv", index_col="epoch")
    for zone in ("mines", "outside"):
        for epoch in ("2004", "2020"):
            assert f"{float(contrast[zone][epoch]):.3f}" in page
    km = pd.read_csv(tables / "breakpoints.csv", index_col="epoch").drop("all")["breakpoint_km"]
    assert {f"up to {one:.1f} km" for one in km} == {"up to 4.9 km"} and "up to 4.9 km" in page
    assert pd.read_csv(tables / "pca.csv")["agreement"].all()
    known = json.loads((demo / "truth" / "known.json").read_text())
    assert f"{known['ring_break_km']:.0f} km" in page
    words = "distance to the mines, elevation, GDP, precipitation, PM2.5, share of mines"
    assert words in page
    assert known["drivers_by_importance"] == ["dism", "dem", "gdp", "prec", "pm25", "minea"]
    assert f"{len(list((demo / 'granules').iterdir()))} HDF4-EOS granules" in page


def test_published_numbers_are_marked() -> None:
    table = pd.read_csv(ROOT / "examples" / "mining-cities" / "published.csv")
    assert set(table["relation"]) == {"=", ">", "range", "copied"}
    assert table.loc[table["relation"] == "copied", "city"].tolist() == ["Handan", "Huangshi"]
    assert table["value"].isna().equals(table["relation"] == "copied")
    assert table["upper"].notna().equals(table["relation"] == "range")


def test_there_are_examples() -> None:
    assert len(EXAMPLES) >= 9


@pytest.mark.parametrize("path", EXAMPLES, ids=lambda path: str(path.relative_to(ROOT)))
def test_example_loads(path: Path) -> None:
    study = reading.load(path)
    assert study.study.name


@pytest.mark.parametrize("path", PAGES, ids=lambda path: str(path.relative_to(ROOT)))
def test_links_lead_somewhere(path: Path) -> None:
    text = re.sub(r"^```.*?^```$", "", path.read_text(), flags=re.DOTALL | re.MULTILINE)
    found = re.findall(r"\]\(([^)\s]+)\)", text) + re.findall(r'(?:src|href)="([^"]+)"', text)
    for link in found:
        name, _, anchor = link.partition("#")
        target = path.parent / name if name else path
        if re.match(r"[a-z]+:", link):
            continue
        assert target.exists(), link
        if anchor:
            assert anchor in anchors(target), link


def anchors(path: Path) -> set[str]:
    """Names of the headings of a page, as renderers of Markdown make them."""
    headings = re.findall(r"^#+ (.+)$", path.read_text(), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


def commands(text: str) -> Iterator[list[str]]:
    """The words of each line of a block that calls ``rsei``."""
    for line in text.splitlines():
        for part in line.split("&&"):
            words = re.split(r"\s{2,}|#", part.strip())[0].split()
            if words and Path(words[0]).name == "rsei":
                yield words[1:]


def test_commands_and_their_options_exist() -> None:
    group: Any = typer.main.get_command(app)
    seen = 0
    for path in PAGES:
        for block in [*blocks(path, "bash"), *blocks(path, "")]:
            for name, *words in commands(block):
                if name.startswith(("-", "[")):
                    continue
                known = {option for p in group.commands[name].params for option in p.opts}
                asked = {word for word in words if word.startswith("--")}
                assert asked <= known, f"{path.relative_to(ROOT)}: rsei {name} {' '.join(words)}"
                seen += 1
    assert seen > 20


def observations() -> xr.Dataset:
    """Stored integers of sixteen clear dates."""
    draw, grid, size = np.random.default_rng(1), ("time", "y", "x"), (16, 12, 15)
    bands = {name: (grid, draw.integers(200, 4000, size, np.int16)) for name in rsei.engine.BANDS}
    words = {"state": (grid, np.zeros(size, np.uint16)), "qc": (grid, np.zeros(size, np.uint32))}
    return xr.Dataset(bands | words)


def run_blocks(path: Path, given: dict[str, Any]) -> dict[str, Any]:
    """What the Python blocks of a page define, run one after another."""
    code = "\n".join(blocks(path, "python"))
    exec(compile(code, str(path), "exec"), given)
    return given


def test_readme_indexes_arrays() -> None:
    heat = ("y", "x"), np.random.default_rng(2).uniform(290, 310, (12, 15)).astype(np.float32)
    found = run_blocks(ROOT / "README.md", {"observations": observations(), "heat": heat})
    assert found["index"].dims == ("y", "x")
    assert float(found["index"].max()) == 1


def test_every_block_of_python_is_run_somewhere() -> None:
    """The reference is signatures, and held against the code as a whole."""
    run = {"README.md", "docs/how-to/python.md", "docs/how-to/reading.md", "docs/reference/api.md"}
    assert {str(page.relative_to(ROOT)) for page in PAGES if blocks(page, "python")} == run


def test_page_on_python_runs(capsys: pytest.CaptureFixture[str]) -> None:
    found = run_blocks(ROOT / "docs" / "how-to" / "python.md", {})
    assert found["rsei"].shape == found["clipped"].shape == (60, 80)
    assert "rsei" in capsys.readouterr().out


@pytest.mark.slow
# rioxarray multiplies transforms by *, which affine 3 is about to give up.
@pytest.mark.filterwarnings("ignore:Use `@` matmul:PendingDeprecationWarning")
def test_page_on_reading_runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    area = f'name = "Tangshan"\nbounds = {list(studies.BOUNDS)}'
    folder = studies.write_all(tmp_path / "granules")
    outcome = studies.run(studies.written(tmp_path, folder, area=area))
    monkeypatch.chdir(outcome.out)
    found = run_blocks(ROOT / "docs" / "how-to" / "reading.md", {})
    assert set(found["layers"]) == {"ndvi", "wet", "ndbsi", "lst", "mndwi", "valid"}
    assert str(found["in_degrees"].rio.crs) == "EPSG:4326"


def test_public_names() -> None:
    assert rsei.engine.__version__ == version()
    assert doctest.testmod(rsei.engine).failed == 0
    assert set(dir(rsei.engine)) >= set(rsei.engine.__all__)
    for name in rsei.engine.__all__:
        assert getattr(rsei.engine, name) is not None
    with pytest.raises(AttributeError, match="no attribute 'nothing'"):
        rsei.engine.nothing  # noqa: B018


def test_importing_the_package_takes_no_library_along() -> None:
    code = "import sys, rsei.engine; print({'numba', 'xarray', 'pydantic'} & set(sys.modules))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "set()"


def version() -> str:
    found: str = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["version"]
    return found


def test_one_version_everywhere() -> None:
    assert f"\nversion: {version()}\n" in (ROOT / "CITATION.cff").read_text()
    assert version() in (ROOT / "CHANGELOG.md").read_text()


def test_every_kernel_stands_in_the_table() -> None:
    table = (ROOT / "kernels" / "README.md").read_text()
    for info in pkgutil.iter_modules(rsei.kernels.__path__):
        module = importlib.import_module(f"rsei.kernels.{info.name}")
        for name, value in vars(module).items():
            if isinstance(value, Kernel):
                assert f"`{name}`" in table, f"{info.name}.{name}"
                assert f"[{info.name}]({info.name}.py)" in table


def changes() -> list[str]:
    """The diffs of CONTRIBUTING: a product, then the three parts of an indicator."""
    return blocks(ROOT / "CONTRIBUTING.md", "diff")


def test_a_change_is_short() -> None:
    product, *indicator = changes()
    for parts in ([product], indicator):
        lines = [line for part in parts for line in part.splitlines()]
        changed = [line for line in lines if re.match(r"[+-](?![+-]{2} )", line)]
        assert len(changed) <= MOST_CHANGED


@pytest.mark.slow
def test_changes_apply_and_pass_their_tests(tmp_path: Path) -> None:
    for name in ("engine", "kernels", "cli", "tests", "pyproject.toml"):
        source, target = ROOT / name, tmp_path / "rsei" / name
        target.parent.mkdir(exist_ok=True)
        (shutil.copytree if source.is_dir() else shutil.copy)(source, target)
    for change in changes():
        apply = ["git", "apply", "-"]
        done = subprocess.run(
            apply, input=change, cwd=tmp_path / "rsei", capture_output=True, text=True
        )
        assert done.returncode == 0, done.stderr
    environment = os.environ | {"PYTHONPATH": str(tmp_path), "NUMBA_CACHE_DIR": str(tmp_path)}
    where = "import rsei.kernels as k; print(k.__file__)"
    told = subprocess.run(
        [sys.executable, "-c", where], env=environment, capture_output=True, text=True, check=True
    )
    assert told.stdout.startswith(str(tmp_path))
    files = ["tests/engine/index/test_indicators.py", "tests/engine/sources/test_products.py"]
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", *files],
        env=environment,
        cwd=tmp_path / "rsei",
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.slow
def test_pages_build(tmp_path: Path) -> None:
    pytest.importorskip("material", reason="mkdocs-material is not installed")
    command = [sys.executable, "-m", "mkdocs", "build", "--strict", "-q", "-d", str(tmp_path)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    page = (tmp_path / "index.html").read_text()
    assert not re.search(r'(?:src|href)="https?://(?!squidfunk)', page)
