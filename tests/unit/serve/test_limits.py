"""What a server allows each client, as calls are checked against it."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest

from ember_widgets.scene.feature_space import FeatureSpace
from ember_widgets.serve.server.call_table import Request
from ember_widgets.serve.server.limits import Limits


@pytest.mark.parametrize(
    ("n_factors", "total"),
    [(128, 256), (129, 258), ({"a": 200, "b": 56}, 256), ({"a": 200, "b": 57}, 257), ({"a": 257}, 257)],
)
def test_factors_of_all_sites_count_together(n_factors: Any, total: int) -> None:
    # With more than the limit, the scene that comes back could not be drawn.
    painter = SimpleNamespace(space=FeatureSpace(("a", "b"), (4, 4)))
    replica: Any = SimpleNamespace(painter=painter, limits=Limits(), capabilities=(), arrays=None)
    request = Request(replica, "analyze", {"prompt": "", "seed": 1, "n_steps": 1, "n_factors": n_factors})
    if total <= Limits().n_factors:
        request.check()
    else:
        with pytest.raises(ValueError, match=f"^n_factors is {total}; this server takes up to 256"):
            request.check()
