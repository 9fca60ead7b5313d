# SPDX-License-Identifier: Apache-2.0
"""What a study says of its report."""

from pathlib import Path

from ..sources.settings import Settings


class ReportSettings(Settings):
    """What the report shows beside the results."""

    published: Path | None = None
    """Numbers that somebody has published, to be shown beside the run's own: a CSV with the columns
    city, quantity, of, relation, value, upper and note, as in examples/mining-cities."""
