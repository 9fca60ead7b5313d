# SPDX-License-Identifier: Apache-2.0
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy import optimize
from skmisc.loess import loess

from rsei.engine.analysis.curves import Line, Segmented, Smooth

X = np.concatenate([[0.0], np.arange(30) + 0.5])


def rising(noise: float, seed: int = 1) -> NDArray[np.float64]:
    """0.4 at the mine, 0.02 more each km up to 12 km, then 0.002 less."""
    curve = 0.4 + 0.02 * np.minimum(X, 12) - 0.002 * np.maximum(X - 12, 0)
    return curve + np.random.default_rng(seed).normal(0, noise, len(X))


@pytest.mark.parametrize("span", [0.3, 0.5, 0.75, 1.0])
def test_loess_is_cleveland_and_grosses(span: float) -> None:
    y = rising(0.02)
    model = loess(X, y, span=span, degree=2, surface="direct", statistics="exact")
    at = np.linspace(0, 29.5, 13)
    theirs = model.predict(at, stderror=True)
    band = theirs.confidence(0.05)
    found = Smooth.of(X, y, at, span)
    np.testing.assert_allclose(found.fit, theirs.values, rtol=0, atol=1e-9)
    np.testing.assert_allclose(found.low, band.lower, rtol=0, atol=1e-7)
    np.testing.assert_allclose(found.high, band.upper, rtol=0, atol=1e-7)


def test_a_parabola_is_its_own_smooth() -> None:
    found = Smooth.of(X, 1 + X - X**2 / 10, X)
    np.testing.assert_allclose(found.fit, 1 + X - X**2 / 10, rtol=0, atol=1e-9)


def test_order_of_points_does_not_matter() -> None:
    order = np.random.default_rng(2).permutation(len(X))
    y = rising(0.02)
    np.testing.assert_allclose(
        Smooth.of(X[order], y[order], X).low, Smooth.of(X, y, X).low, atol=1e-9
    )
    assert Segmented.of(X[order], y[order]).breakpoint == pytest.approx(
        Segmented.of(X, y).breakpoint, abs=1e-6
    )


@pytest.mark.parametrize("fit", [lambda x: Smooth.of(x, x, x), lambda x: Segmented.of(x, x)])
def test_too_few_points_are_refused(fit: object) -> None:
    with pytest.raises(ValueError, match="expected 6 different places or more, found 5"):
        fit(np.array([0.0, 1, 2, 3, 4, 4, 4]))  # type: ignore[operator]


def test_break_is_the_best_of_curve_fit_from_many_starts() -> None:
    y = rising(0.02)

    def curve(x: NDArray[np.float64], a: float, b: float, c: float, at: float) -> Any:
        return a + b * x + c * np.maximum(x - at, 0)

    best = np.inf, 0.0
    for start in np.linspace(2, 27, 26):
        answer, _ = optimize.curve_fit(curve, X, y, [0.4, 0.02, -0.02, start], maxfev=20000)
        best = min(best, (float(np.sum((curve(X, *answer) - y) ** 2)), float(answer[3])))
    found = Segmented.of(X, y)
    assert found.breakpoint == pytest.approx(best[1], abs=1e-4)
    assert Line.of(X, y).squares(found.breakpoint) <= best[0] * (1 + 1e-9)


def test_an_exact_break_comes_back() -> None:
    found = Segmented.of(X, rising(0))
    assert (found.breakpoint, found.before, found.after) == pytest.approx((12, 0.02, -0.002))
    assert 11.9 < found.low <= found.breakpoint <= found.high < 12.1
    assert found.p < 1e-6


@pytest.mark.slow
def test_interval_holds_the_true_break_as_often_as_it_says() -> None:
    found = [Segmented.of(X, rising(0.01, seed)) for seed in range(200)]
    held = np.mean([each.low <= 12 <= each.high for each in found])
    assert 0.90 <= held <= 0.99


@pytest.mark.slow
def test_davies_p_is_a_bound_without_a_break() -> None:
    rng = np.random.default_rng(3)
    p = np.array([Segmented.of(X, 0.01 * X + rng.normal(0, 0.02, len(X))).p for _ in range(300)])
    assert 0.01 <= np.mean(p < 0.05) <= 0.07  # of 300, two standard errors above 0.05
    assert np.mean(p < 0.5) <= 0.56


def test_one_straight_line_has_no_break() -> None:
    assert Segmented.of(X, 0.3 + 0.01 * X).p == 1
    assert Segmented.of(X, np.full(len(X), 0.5)).p == 1


def test_weights_count_as_repeats() -> None:
    """Two lines through weighted points are those through each point as often as it weighs."""
    y = rising(0.02)
    weights = np.arange(len(X)) % 4 + 1
    found = Segmented.of(X, y, weights.astype(np.float64))
    repeated = Segmented.of(np.repeat(X, weights), np.repeat(y, weights))
    assert found.breakpoint == pytest.approx(repeated.breakpoint, abs=1e-6)
    assert (found.before, found.after) == pytest.approx((repeated.before, repeated.after))
