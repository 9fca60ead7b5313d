# SPDX-License-Identifier: Apache-2.0
"""Fit and importance of a random forest, 10,000 x 10, beside scikit-learn's, R's and ranger's.

Times are processor time on one thread, a tree; the contestants take turns, medians. R runs in a
process of its own and times itself. Importance is compared with R's on the same rows.

    python benchmarks/bench_forest.py [--rows 10000] [--trees 1000] [--repeats 3] [--json FILE]
"""

import argparse
import os
import shutil
import statistics
import subprocess
import tempfile
from pathlib import Path
from typing import Any

os.environ.setdefault("RSEI_THREADS", "1")

import numpy as np
from bench_distance import Work, seconds
from measured import keep
from numpy.typing import NDArray
from sklearn.ensemble import RandomForestRegressor
from sklearn.inspection import permutation_importance

from rsei.engine.analysis.importance import added_error, scaled
from rsei.engine.analysis.trees import grown
from rsei.engine.run.machine import processor

NAMES = tuple("abcdefghij")
R_CODE = """
a <- commandArgs(TRUE); trees <- as.integer(a[2]); d <- read.csv(a[1]); y <- d$y; d$y <- NULL
say <- function(name, ...) cat(name, ..., "\\n")
if (suppressMessages(require(randomForest, quietly = TRUE))) {
  t <- system.time(m <- randomForest(d, y, ntree = trees, mtry = 3, importance = TRUE))
  say("time_randomForest", t[["user.self"]]); say("nodes", mean(m$forest$ndbigtree))
  say("explained", 100 * tail(m$rsq, 1)); say("raw", importance(m, type = 1, scale = FALSE))
  say("se", m$importanceSD); say("purity", m$importance[, "IncNodePurity"])
}
if (suppressMessages(suppressWarnings(require(ranger, quietly = TRUE)))) {
  t <- system.time(ranger(x = d, y = y, num.trees = trees, mtry = 3, min.node.size = 5,
                          num.threads = 1, importance = "permutation", verbose = FALSE))
  say("time_ranger", t[["user.self"]])
}
"""


def scene(rows: int) -> tuple[NDArray[np.float32], NDArray[np.float64]]:
    """Drivers of which four matter, and a target of 0 to 1 with noise."""
    rng = np.random.default_rng(0)
    drivers = rng.random((rows, len(NAMES)), np.float32)
    signal = np.sin(5 * drivers[:, 0]) + 2 * drivers[:, 1] * drivers[:, 2] + 0.3 * drivers[:, 3]
    target = signal + 0.4 * rng.normal(size=rows)
    return drivers, (target - target.min()) / np.ptp(target)


def by_trees(engine: Any, drivers: Any, target: Any, unseen: Any) -> NDArray[np.float64]:
    """The same importance by a Python loop over scikit-learn's trees."""
    rng = np.random.default_rng(1)
    added = np.empty((len(engine.estimators_), drivers.shape[1]))
    for t, estimator in enumerate(engine.estimators_):
        rows, truth, tree = drivers[unseen[t]], target[unseen[t]], estimator.tree_
        base = np.mean((truth - tree.predict(rows)[:, 0]) ** 2)
        for j in range(drivers.shape[1]):
            kept = rows[:, j].copy()
            rows[:, j] = rng.permutation(kept)
            added[t, j] = np.mean((truth - tree.predict(rows)[:, 0]) ** 2) - base
            rows[:, j] = kept
    return added


def of_r(drivers: Any, target: Any, trees: int) -> dict[str, list[float]]:
    """What R says of the same rows; nothing where it is not installed."""
    if not shutil.which("Rscript"):
        return {}
    with tempfile.TemporaryDirectory() as folder:
        rows, code = Path(folder, "rows.csv"), Path(folder, "forest.R")
        table = np.column_stack([drivers, target])
        np.savetxt(rows, table, "%.17g", ",", header=",".join((*NAMES, "y")), comments="")
        code.write_text(R_CODE)
        command = ["Rscript", str(code), str(rows), str(trees)]
        lines = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    words = (line.split() for line in lines.splitlines())
    return {name: [float(value) for value in values] for name, *values in words}


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("--rows", type=int, default=10_000)
    options.add_argument("--trees", type=int, default=1000)
    options.add_argument("--repeats", type=int, default=3)
    options.add_argument("--json", type=Path)
    asked = options.parse_args()
    drivers, target = scene(asked.rows)
    trees, unseen = grown(NAMES, drivers, target, asked.trees, 3, 1)
    engine = RandomForestRegressor(
        asked.trees, max_features=3, min_samples_split=4, random_state=1, n_jobs=1
    ).fit(drivers, target)
    said: list[dict[str, list[float]]] = []
    works: dict[str, Work] = {
        "rsei importance": lambda: added_error(trees, drivers, target, unseen, 1),
        "loop over trees": lambda: by_trees(engine, drivers, target, unseen),
        "rsei fit": lambda: grown(NAMES, drivers, target, asked.trees, 3, 1),
        "scikit-learn permutation": lambda: permutation_importance(
            engine, drivers, target, n_repeats=1, random_state=0, n_jobs=1
        ),
        "R": lambda: said.append(of_r(drivers, target, asked.trees)),
    }
    times = seconds(works, asked.repeats)
    del times["R"]  # what it says itself is without its start
    times["rsei fit + importance"] = times["rsei fit"] + times["rsei importance"]
    raw, error, _ = scaled(added_error(trees, drivers, target, unseen, 1))
    r = said[-1]
    for name in ("randomForest", "ranger"):
        if f"time_{name}" in r:
            turns = [one[f"time_{name}"][0] for one in said[1:]]
            times[f"R {name}, fit + importance"] = statistics.median(turns)
        else:
            print(f"R's {name} is not installed: apt-get install r-cran-{name.lower()}")
    for name, value in times.items():
        mine = "rsei fit + importance" if name.startswith("R ") else "rsei importance"
        print(
            f"{name:34} {1e3 * value / asked.trees:9.2f} ms a tree"
            f" {value / times[mine]:8.2f} x {mine}"
        )
    print(f"nodes a tree: {trees.nodes.shape[0] / asked.trees:.0f}, R {r.get('nodes')}")
    if "raw" in r:
        joint = np.hypot(error, r["se"])
        off = np.abs(raw - r["raw"]) / joint
        oob = trees.predict(drivers, unseen)
        explained = 100 * (1 - np.nanmean((target - oob) ** 2) / target.var())
        print(f"% Var explained {explained:.2f}, R {r['explained'][0]:.2f}")
        print("raw %IncMSE, joint standard errors from R's:", np.round(off, 1))
    machine = processor()
    found = {"machine": machine, "rows": asked.rows, "trees": asked.trees, "seconds": times}
    keep(found | {"r": r}, asked.json)


if __name__ == "__main__":
    main()
