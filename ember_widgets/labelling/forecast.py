"""What a labelling run will ask, take and cost, before it starts."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from pathlib import Path

from ember_widgets.labelling import journal as journals
from ember_widgets.labelling import sheet
from ember_widgets.labelling.journal import Asked, Journal, Line
from ember_widgets.labelling.question import HasPrice, Kind, LabelClient, Price, check_price
from ember_widgets.labelling.questions import Named, text_of
from ember_widgets.util.checks import plural
from ember_widgets.util.words import duration

SCORES: tuple[Kind, ...] = ("detection", "causal")

# The rule of thumb, until a server has counted. Qwen2.5-VL makes a token of 28 x 28 pixels; Qwen3-VL takes a
# quarter less, GPT-4o at high detail half.
PIXELS_PER_TOKEN = 28 * 28
CHARACTERS_PER_TOKEN = 4
ANSWER_TOKENS: dict[Kind, int] = {"label": 60, "detection": 25, "causal": 50}
"""Tokens of an answer of each kind, of models that do not think aloud."""
LAST_TILES: dict[Kind, tuple[int, int]] = {
    "label": sheet.WITH[-1],
    "detection": sheet.DETECTION[-1],
    "causal": sheet.PAIR_B[-1],
}
"""Row and column."""
N_PICTURES: dict[Kind, int] = {
    "label": sheet.N_ACTIVE + sheet.N_SILENT + 2 + 3 * sheet.N_SCENES,
    "detection": sheet.N_DETECTION,
    "causal": 2 * sheet.N_PAIRS,
}


@dataclass(frozen=True)
class LabelForecast:
    """What is still to be asked. Journaled answers are not counted.

    Args:
        n_features: Features with open questions.
        n_calls: Questions, without those asked once more because an answer cannot be read.
        n_pictures: Pictures on their sheets.
        tokens_in: Of questions and sheets, estimated.
        tokens_out: Of answers, estimated.
        seconds: Estimated from the calls in the journal; None = there are none yet.
        cost: None without a price.
        currency: Of the cost.
        is_measured: Whether tokens are those of earlier answers in this folder, not a rule of thumb.
    """

    n_features: int
    n_calls: int
    n_pictures: int
    tokens_in: int
    tokens_out: int
    seconds: float | None
    cost: float | None
    currency: str = ""
    is_measured: bool = False

    def __str__(self) -> str:
        if not self.n_calls:
            return "Nothing is left to ask."
        text = (
            f"{plural(self.n_features, 'feature')} to label: {plural(self.n_calls, 'call')}, at most, with "
            f"{self.n_pictures:,} pictures on their sheets; about {self.tokens_in:,} tokens in and "
            f"{self.tokens_out:,} out ({'measured' if self.is_measured else 'estimated'})"
        )
        if self.seconds is not None:
            text += f"; about {duration(self.seconds)}"
        if self.cost is not None:
            text += f"; about {amount(self.cost, self.currency)}"
        return text + "."


def label_forecast(
    features: Sequence[int],
    identity: str,
    client: LabelClient,
    *,
    folder: Path,
    scores: bool = True,
    price: Price | None = None,
    retry: bool = False,
    silent: Collection[int] = (),
) -> LabelForecast:
    """Count and estimate; draws nothing and asks nothing.

    Args:
        features: As for `label_features`.
        identity: Of the source.
        client: Which would answer.
        folder: Of the journal; need not exist.
        scores: Whether each label is scored.
        price: For the cost.
        retry: Whether refused and unreadable questions are asked again.
        silent: Features that are active in no picture, of which nothing is asked.
    """
    journal = journals.read(folder)
    known: dict[Kind, list[Line]] = {kind: [] for kind in ANSWER_TOKENS}
    for line in journal.lines.values():
        if line.model == client.model:
            known[line.kind].append(line)
    calls = [
        open_questions(feature, identity, client.model, journal, scores, retry)
        for feature in features
        if feature not in silent
    ]
    n = {kind: sum(kinds.count(kind) for kinds in calls) for kind in ANSWER_TOKENS}
    rates = {kind: _tokens(kind, lines) for kind, lines in known.items()}
    tokens_in, tokens_out = (round(sum(n[kind] * rates[kind][i] for kind in n)) for i in (0, 1))
    lines = [line for kind in known for line in known[kind]]
    n_calls = sum(n.values())
    price = price_of(client, price)
    return LabelForecast(
        n_features=sum(map(bool, calls)),
        n_calls=n_calls,
        n_pictures=sum(n[kind] * N_PICTURES[kind] for kind in n),
        tokens_in=tokens_in,
        tokens_out=tokens_out,
        seconds=n_calls * sum(line.wall_seconds for line in lines) / len(lines) if lines else None,
        cost=None if price is None else cost(price, tokens_in, tokens_out),
        currency=price.currency if price else "",
        is_measured=any(line.tokens_in for line in lines),
    )


def open_questions(
    feature: int, identity: str, model: str, journal: Journal, scores: bool, retry: bool
) -> list[Kind]:
    """What is still to be asked about a feature, as far as one can tell before its label is known."""

    def is_open(asked: Asked) -> bool:
        standing = journal.standing(asked)
        return standing.answer is None and (retry or not standing.is_settled)

    asked = Asked(identity, "label", feature, model)
    if is_open(asked):
        return ["label", *SCORES] if scores else ["label"]
    named = journal.standing(asked).answer
    if not scores or not isinstance(named, Named):
        return []
    return [kind for kind in SCORES if is_open(Asked(identity, kind, feature, model, named.label))]


def price_of(client: LabelClient, price: Price | None) -> Price | None:
    """The price given, or else the one that the client knows."""
    check_price(price)
    return client.price if price is None and isinstance(client, HasPrice) else price


def cost(price: Price, tokens_in: int, tokens_out: int) -> float:
    """What tokens cost, in the currency of the price."""
    return (tokens_in * price.per_million_in + tokens_out * price.per_million_out) / 1e6


def amount(cost: float, currency: str) -> str:
    """A cost for people to read; small ones keep two digits."""
    return f"{cost:.2f} {currency}" if cost >= 1 or cost == 0 else f"{cost:.2g} {currency}"


def _tokens(kind: Kind, lines: list[Line]) -> tuple[float, float]:
    """Tokens in and out of a question: the mean of earlier ones, or else the rule of thumb."""
    measured = [line for line in lines if line.tokens_in]
    if measured:
        return (
            sum(line.tokens_in for line in measured) / len(measured),
            sum(line.tokens_out for line in measured) / len(measured),
        )
    row, column = LAST_TILES[kind]
    width, height = sheet.size(row + 1, column + 1)
    return width * height / PIXELS_PER_TOKEN + len(text_of(kind)) / CHARACTERS_PER_TOKEN, ANSWER_TOKENS[kind]
