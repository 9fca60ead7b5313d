# SPDX-License-Identifier: Apache-2.0
import numpy as np
import pytest
from conftest import Home
from numpy.typing import NDArray
from scipy import ndimage

from rsei.kernels import distance


def scattered(shape: tuple[int, int], share: float, seed: int = 1) -> NDArray[np.bool_]:
    return np.random.default_rng(seed).random(shape) < share


@pytest.mark.parametrize("share", [0.001, 0.02, 0.5])
def test_squares_are_scipys(home: Home, share: float) -> None:
    sources = scattered((home.pixels // 23, 23), share)
    sources[3, 5] = True
    found = home.get(distance.nearest_source(home.put(sources))[1])
    expected = ndimage.distance_transform_edt(~sources) ** 2
    np.testing.assert_array_equal(found, np.rint(expected))


def test_nearest_is_a_source_at_that_distance(home: Home) -> None:
    sources = scattered((17, home.pixels // 17), 0.03)
    nearest = home.get(distance.nearest_source(home.put(sources))[0])
    y, x = np.indices(sources.shape)
    far = np.hypot(y - nearest // sources.shape[1], x - nearest % sources.shape[1])
    assert sources.ravel()[nearest].all()
    np.testing.assert_allclose(far, ndimage.distance_transform_edt(~sources), rtol=1e-12)


def test_no_source_is_no_distance(home: Home) -> None:
    for found in distance.nearest_source(home.put(np.zeros((9, 7), bool))):
        assert (home.get(found) == -1).all()


def test_strips_and_rows_do_not_show() -> None:
    sources = scattered((301, 3 * distance.STRIP + 9), 0.001)
    expected = np.rint(ndimage.distance_transform_edt(~sources) ** 2)
    np.testing.assert_array_equal(distance.nearest_source(sources)[1], expected)
    turned = distance.nearest_source(np.ascontiguousarray(sources.T))[1]
    np.testing.assert_array_equal(turned.T, expected)
