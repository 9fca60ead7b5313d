# SPDX-License-Identifier: Apache-2.0
"""Write the table of speed in the README, as it was measured last: ``python docs/speed.py``."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[1]

BEGIN, END = "<!-- speed: by docs/speed.py -->", "<!-- end of speed -->"
"""What the table stands between."""


def speed() -> Iterator[str]:
    """What was measured last, beside peers in the same run."""
    yield "| | this | beside | it takes |\n|---|---:|---|---:|"
    sums, moments, decoded = (_results(name) for name in ("accumulate", "moments", "decode"))
    own = sums["rows"]["kernel and means"]
    what = "quality bits, sums and means, 7 bands of 16 dates"
    yield from _beside(
        f"{what} | {own['gb_per_s']:.1f} GB/s",
        {
            peer: sums["rows"][row]["x_kernel_and_means"]
            for peer, row in {
                "NumPy, loop over dates": "numpy, loop over dates",
                "xarray and Dask": "xarray + dask",
                "xarray, default mean": "xarray, default mean",
            }.items()
        },
    )
    rows = moments["rows"]
    yield from _beside(
        f"moments and PCA, {moments['pixels'] / 1e6:.0f} million pixels | "
        f"{rows['moments and PCA']['ns_per_pixel']:.1f} ns a pixel",
        {
            "scikit-learn, float64": rows["scikit-learn, float64"]["x_ours"],
            "NumPy, cov and eigh": rows["numpy cov and eigh, float64"]["x_ours"],
        },
    )
    layers = decoded["one stream a layer"]
    rate = layers["bytes"] / layers["seconds"]["ours, 1 thread"]["cpu"] / 1e6
    ratio = layers["ratios"]["1 thread, times pyhdf (CPU)"]
    yield from _beside(f"HDF4 layers decoded | {rate:.0f} MB/s", {"pyhdf": ratio})
    for name, what, ours, peers in TIMED:
        found = _results(name)["seconds"]
        own_seconds = found[ours]
        shown = f"{own_seconds:.1f} s" if own_seconds >= 1 else f"{own_seconds * 1000:.0f} ms"
        others = {peer: found[key] / own_seconds for peer, key in peers.items()}
        yield from _beside(f"{what} | {shown}", others)
    yield from _zones()
    partial = _results("partial")
    wall = {name: times[0] for name, times in partial["seconds"].items()}
    peers = {
        "pyhdf and NumPy loop": "pyhdf + NumPy loop",
        "rasterio windows, of GeoTIFFs": "rasterio windows",
        "xarray + dask, of GeoTIFFs": "xarray + dask",
        "the same, a file a chunk": "xarray + dask, a file a chunk",
    }
    for ours, what in (("sums", "to the sums of a year"), ("committed", "the same, committed")):
        own = wall[f"rsei, {ours}"]
        yield from _beside(
            f"{partial['dates']} full granules {what}, 2 cores, wall time | {own:.1f} s",
            {peer: wall[name] / own for peer, name in peers.items()},
        )
    yield from _country()


TIMED = (
    (
        "distance",
        "exact distance to the nearest source, 4 million pixels",
        "rsei distance",
        {"SciPy": "scipy distance"},
    ),
    (
        "distance",
        "exact ways round barriers, the same",
        "rsei barriers",
        {"scikit-fmm, order 2, not exact": "scikit-fmm, order 2"},
    ),
    (
        "focal",
        "mean of a window of 10 by 10, 4 million pixels",
        "rsei",
        {"SciPy, two filters": "scipy, two filters", "xarray-spatial": "xarray-spatial"},
    ),
    (
        "forest",
        "forest and R's importance, 1000 trees, 10,000 rows",
        "rsei fit + importance",
        {
            "R randomForest": "R randomForest, fit + importance",
            "R ranger": "R ranger, fit + importance",
        },
    ),
)
"""Benchmarks that tell seconds: file, what, the row of this, and those of its peers."""


def _zones() -> Iterator[str]:
    """Zonal statistics and trends, whose benchmarks tell of rows."""
    zonal, trend = _results("zonal"), _results("trend")
    rows = zonal["scenes"]["everywhere"]["rows"]
    what = f"statistics of {zonal['zones']} zones, {zonal['pixels'] ** 2 / 1e6:.0f} million pixels"
    for form, ours, peers in (
        ("", "rsei, labels", ("flox", "xarray-spatial")),
        (" by known shares", "rsei, coverage", ("exactextract",)),
    ):
        own = rows[ours]["cpu_s"]
        beside = {peer: rows[peer]["cpu_s"] / own for peer in peers}
        yield from _beside(f"{what}{form} | {own * 1000:.0f} ms", beside)
    rows = trend["rows"]
    yield from _beside(
        f"Theil-Sen slope and Mann-Kendall test, {trend['epochs']} epochs | "
        f"{rows['rsei, slope and test']['us_per_pixel']:.1f} µs a pixel",
        {
            "pymannkendall": rows["pymannkendall, pixel by pixel"]["x_rsei"],
            "SciPy, slope alone": rows["scipy theilslopes by xarray"]["x_rsei"],
        },
    )


def _country() -> Iterator[str]:
    """What the tasks of a country take beside their pixels, once it is measured."""
    if not (ROOT / "benchmarks" / "results" / "country.json").exists():
        return
    found = _results("country")
    run = found["run"]
    yield (
        f"| {found['tiles']} tiles x {found['years']} years of 60 x 60 pixels, every stage, "
        f"{found['tasks']} tasks, {found['workers']} workers | {run['seconds'] / 60:.1f} min, "
        f"{run['peak_pss_mib'] / 1024:.1f} GiB | | |"
    )


def _results(name: str) -> Any:
    return json.loads((ROOT / "benchmarks" / "results" / f"{name}.json").read_text())


def _beside(first: str, peers: dict[str, float]) -> Iterator[str]:
    for peer, ratio in peers.items():
        yield f"| {first} | {peer} | {ratio:.{0 if ratio >= 9.5 else 1}f} times |"
        first = " | "


def readme() -> str:
    """The README with its table of speed as it was measured last."""
    text = (ROOT / "README.md").read_text(encoding="utf-8")
    before, _, rest = text.partition(BEGIN)
    _, _, after = rest.partition(END)
    return "\n".join([before + BEGIN, *speed(), END]) + after


if __name__ == "__main__":
    (ROOT / "README.md").write_text(readme(), encoding="utf-8")
