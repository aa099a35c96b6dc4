"""What a run will ask and cost, before it starts."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from ember_widgets.labelling.forecast import LabelForecast, amount, label_forecast
from ember_widgets.labelling.question import Price, check_client
from ember_widgets.labelling.sheet import Tile, compose
from tests.unit.labelling.bench import Drawings, Server, completion, labelled, right, serving


def forecast(features: range, server: Server, folder: Path, **more: Any) -> LabelForecast:
    client = more.pop("client", None) or server.client()
    return label_forecast(features, Drawings().identity, client, folder=folder, **more)


def test_counts_questions_pictures_and_tokens(tmp_path: Path) -> None:
    with serving() as server:
        found = forecast(range(10), server, tmp_path / "none", price=Price(2, 10, "EUR"))
        assert (found.n_features, found.n_calls, found.n_pictures) == (10, 30, 540)
        assert found.seconds is None
        assert not found.is_measured
        assert found.tokens_in == pytest.approx(10 * (2619 + 1054 + 2040), rel=0.01)
        assert found.cost == pytest.approx((found.tokens_in * 2 + found.tokens_out * 10) / 1e6)
        assert "10 features to label: 30 calls, at most, with 540 pictures" in str(found)
        assert "EUR" in str(found)
        assert forecast(range(10), server, tmp_path, scores=False).n_calls == 10
        assert server.requests == []
    assert not (tmp_path / "none").exists()


def test_estimates_sheets_of_the_size_that_they_have() -> None:
    """6 columns and 4 rows for a label: one token for 28 x 28 pixels."""
    row = [Tile(Image.new("RGB", (4, 4)))] * 6
    width, height = compose([row] * 4).size
    assert (width, height) == (1592, 1168)
    assert round(width * height / 28**2) == 2372


def test_measures_what_was_answered_and_leaves_it_out(tmp_path: Path) -> None:
    with serving() as server:
        labelled(range(4), server, tmp_path)
        found = forecast(range(10), server, tmp_path)
        assert (found.n_features, found.n_calls) == (6, 18)
        assert (found.tokens_in, found.tokens_out, found.is_measured) == (18_000, 360, True)
        assert found.seconds is not None
        assert 0 < found.seconds < 18
        assert "(measured)" in str(found)
        labelled(range(4, 6), server, tmp_path, scores=False)
        assert forecast(range(10), server, tmp_path).n_calls == 4 * 3 + 2 * 2
        labelled(range(10), server, tmp_path)
        assert str(forecast(range(10), server, tmp_path)) == "Nothing is left to ask."


def test_counts_what_could_not_be_read_only_if_it_is_asked_again(tmp_path: Path) -> None:
    with serving(lambda r: completion("?") if r.kind == "causal" else right(r)) as server:
        labelled(range(2), server, tmp_path)
        assert forecast(range(2), server, tmp_path).n_calls == 0
        assert forecast(range(2), server, tmp_path, retry=True).n_calls == 2


def test_knows_the_price_of_the_client(tmp_path: Path) -> None:
    with serving() as server:
        client = server.client(price=Price(1, 1))
        assert forecast(range(2), server, tmp_path, client=client).currency == "USD"
        assert forecast(range(2), server, tmp_path).cost is None


def test_amounts_are_for_people() -> None:
    assert [amount(x, "EUR") for x in (0.0, 0.00123, 0.5, 12.345)] == [
        *("0.00 EUR", "0.0012 EUR", "0.5 EUR", "12.35 EUR")
    ]


def test_features_that_are_active_nowhere_cost_nothing(tmp_path: Path) -> None:
    with serving() as server:
        found = forecast(range(3), server, tmp_path, silent={0, 2}, scores=False)
        assert (found.n_features, found.n_calls) == (1, 1)
        assert "1 feature to label: 1 call, at most" in str(found)
        assert str(forecast(range(3), server, tmp_path, silent=range(3))) == "Nothing is left to ask."


def test_a_wrong_price_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="per_million_in=-2 is below 0; give the price of a million tokens"):
        Price(-2, 8)
    with pytest.raises(TypeError, match="per_million_out='8' is not a number"):
        Price(2, "8")  # type: ignore[arg-type]
    with serving() as server:
        with pytest.raises(TypeError, match=r"price=3 is not a Price; give e.g. ember.Price\(2, 8\)"):
            forecast(range(2), server, tmp_path, price=3)
        with pytest.raises(TypeError, match="price=3 is not a Price"):
            labelled(range(2), server, tmp_path, price=3)
        with pytest.raises(TypeError, match="price=3 is not a Price"):
            server.client(price=3)
        assert server.requests == []


@pytest.mark.parametrize("client", ["gpt-4o-mini", None, 3])
def test_what_cannot_be_asked_is_no_client(client: object) -> None:
    with pytest.raises(TypeError, match="cannot be asked; give e.g. ember.OpenAIClient"):
        check_client(client)
