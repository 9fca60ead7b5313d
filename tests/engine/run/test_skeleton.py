# SPDX-License-Identifier: Apache-2.0
"""The study file that a user begins with is legal, with whatever is uncommented in it."""

import re

from study_texts import study

from rsei.engine.run.skeleton import skeleton
from rsei.engine.run.study import Study, models


def test_the_skeleton_is_a_study_with_every_default() -> None:
    text = skeleton()
    minimal = study(
        '[study]\nname="a"\nout="b"\nepochs=[2001]\n[granules]\npath="c"\n'
        '[[area]]\nname="d"\nboundary="e"\n'
    ).resolved()
    filled = study(text).resolved()
    for section in ("quality", "indicators", "water", "rsei", "compute"):
        assert filled[section] == minimal[section]
    assert filled["granules"] == minimal["granules"] | {"path": "granules"}


def test_the_skeleton_shows_every_key_with_its_meaning() -> None:
    text = skeleton()
    for name, field in Study.model_fields.items():
        assert f"[{name}]" in text
        for table in models(field.annotation)[:1]:
            for key, inner in table.model_fields.items():
                assert f"{key} = " in text or f"{name}.{key}]" in text
                assert inner.description and inner.description.split()[0] in text
    assert max(map(len, text.splitlines())) <= 120 and "``" not in text


def test_every_key_that_the_skeleton_leaves_out_is_legal_when_uncommented() -> None:
    lines = skeleton().splitlines()
    end = lines.index("# [drivers]")
    left_out = [i for i, line in enumerate(lines[:end]) if re.match(r"# [a-z_]+ = ", line)]
    assert len(left_out) >= 8
    for i in left_out:
        text = "\n".join([*lines[:i], lines[i].removeprefix("# "), *lines[i + 1 :]])
        if lines[i].startswith(("# bounds", "# tiles")):
            text = text.replace('boundary = "boundary.gpkg"', "")
        assert study(text) != study(skeleton())


def test_the_optional_sections_of_the_skeleton_are_legal_when_uncommented() -> None:
    lines = skeleton().splitlines()
    first, last = lines.index("# [drivers]"), lines.index("[compute]")
    lines[first:last] = [line.removeprefix("# ") for line in lines[first:last]]
    settings = study("\n".join(lines))
    assert settings.drivers and settings.drivers.crs == "ESRI:102025"
    assert settings.forest and settings.forest.trees == 1000
