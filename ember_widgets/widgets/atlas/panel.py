"""The panel beside the map, as traits; js/src/atlas/traits.ts has the same names."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import anywidget
import traitlets

_STATIC = Path(__file__).parents[1] / "static"


class Panel(anywidget.AnyWidget):
    """Search, filters, one feature's card, and a sheet of features."""

    _esm = traitlets.Unicode((_STATIC / "atlas.js").read_text(encoding="utf-8")).tag(sync=True)
    _css = traitlets.Unicode((_STATIC / "atlas.css").read_text(encoding="utf-8")).tag(sync=True)

    # What the browser sets
    query = traitlets.Unicode().tag(sync=True, echo_update=False)
    color_by = traitlets.Unicode().tag(sync=True)
    filters = traitlets.List(traitlets.Unicode()).tag(sync=True)
    ground = traitlets.Unicode(help="The background colour of the page, '#rrggbb'.").tag(
        sync=True, echo_update=False
    )

    # What it shows
    color_modes: Any = traitlets.List().tag(sync=True)
    legend = traitlets.Dict(default_value={"ramp": [], "low": "", "high": "", "kinds": []}).tag(sync=True)
    filter_choices: Any = traitlets.List().tag(sync=True)
    categories: Any = traitlets.List(help="[filter, title, how many] of each category of labels.").tag(
        sync=True
    )
    concepts: Any = traitlets.List(help="[name, what it is made of] of the concepts found.").tag(sync=True)
    n_to_label = traitlets.Int(0, help="How many of the features listed can be labelled.").tag(sync=True)
    labelling: Any = traitlets.Dict(
        default_value={"stage": "idle", "text": "", "share": 0.0, "fault": ""}, help="See ``Progress``."
    ).tag(sync=True)
    title = traitlets.Unicode().tag(sync=True)
    tiles: Any = traitlets.List().tag(sync=True)
    more = traitlets.Int(0).tag(sync=True)
    icons = traitlets.Dict().tag(sync=True)
    details: Any = traitlets.Dict(default_value=None, allow_none=True).tag(sync=True)
    status = traitlets.Unicode().tag(sync=True)
    notice = traitlets.Unicode().tag(sync=True)
    has_paint = traitlets.Bool(False).tag(sync=True)
    height = traitlets.Int(560).tag(sync=True)
    map_id = traitlets.Unicode(help="See ``Scatter.view_id``.").tag(sync=True)
