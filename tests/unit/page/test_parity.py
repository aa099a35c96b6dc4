"""parity.json, with which the page's model is compared, is what the libraries compute."""

from __future__ import annotations

import base64
import json
from typing import Any

import numpy as np
import pytest

from tests.unit.page.make_parity import PATH, parity

HOW = "run: python tests/unit/page/make_parity.py"


@pytest.fixture(scope="module")
def both() -> tuple[dict[str, Any], dict[str, Any]]:
    return json.loads(PATH.read_text(encoding="utf-8")), json.loads(json.dumps(parity()))


@pytest.mark.parametrize("part", ["noise", "tokens", "schedules", "sae", "pictures", "dense", "steering"])
def test_is_up_to_date(both: tuple[dict[str, Any], dict[str, Any]], part: str) -> None:
    written, now = both
    assert_alike(written[part], now[part], f".{part}")


def assert_alike(written: Any, now: Any, where: str = "") -> None:
    """The same, but for the last digits of numbers, in which processors differ."""
    assert type(written) is type(now), where
    if isinstance(written, dict):
        assert written.keys() == now.keys(), where
        for name, value in written.items():
            if name == "at" and written[name] != now[name]:
                # A code next to the threshold may be one here and none there.
                return
            assert_alike(value, now[name], f"{where}.{name}")
    elif isinstance(written, list):
        assert len(written) == len(now), where
        for i, (one, other) in enumerate(zip(written, now, strict=True)):
            assert_alike(one, other, f"{where}[{i}]")
    elif isinstance(written, float):
        assert written == pytest.approx(now, rel=1e-5), where
    elif isinstance(written, str) and ".tokens" not in where and (found := numbers(written)) is not None:
        np.testing.assert_allclose(found, numbers(now), rtol=1e-3, atol=1e-3, err_msg=f"{where}; {HOW}")
    else:
        assert written == now, f"{where}; {HOW}"


def numbers(text: str) -> Any:
    """The float32 numbers that a text packs; None if it packs other things."""
    try:
        data = base64.b64decode(text, validate=True)
    except ValueError:
        return None
    found = np.frombuffer(data, "<f4") if data and len(data) % 4 == 0 else None
    return found if found is not None and np.isfinite(found).all() else None
