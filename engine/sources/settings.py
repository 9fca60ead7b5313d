# SPDX-License-Identifier: Apache-2.0
"""The base of every settings type."""

from pydantic import BaseModel, ConfigDict


class Settings(BaseModel):
    """Frozen settings: unknown keys are errors, and the docstring under a field describes it."""

    model_config = ConfigDict(frozen=True, extra="forbid", use_attribute_docstrings=True)
