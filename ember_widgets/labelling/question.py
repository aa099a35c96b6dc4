"""A question to a vision-language model and what came back, as values."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal, Protocol, runtime_checkable

from ember_widgets.util import checks

Kind = Literal["label", "detection", "causal"]


@dataclass(frozen=True)
class Question:
    """One call.

    Args:
        id: Names the call; the same id is the same question, and is asked once only.
        kind: What is asked.
        text: The question, in English.
        picture: The sheet, as JPEG or PNG; llama.cpp's server reads no WebP.
        schema: JSON schema of the answer.
    """

    id: str
    kind: Kind
    text: str
    picture: bytes
    schema: Mapping[str, Any]


@dataclass(frozen=True)
class Reply:
    """What a model said.

    Args:
        text: Its answer, as it stands.
        tokens_in: Tokens of question and picture, as the server counted them; 0 = it did not say.
        tokens_out: Tokens of the answer.
        is_cut_off: Whether it ended because it may not be longer.
    """

    text: str
    tokens_in: int = 0
    tokens_out: int = 0
    is_cut_off: bool = False


class Refused(Exception):
    """The model or its server will not answer this question; asking again will not help.

    Args:
        reason: What it said.
        tokens_in: Tokens of question and picture, which are paid for all the same; 0 = it did not say.
        tokens_out: Tokens of the refusal.
    """

    def __init__(self, reason: str = "", tokens_in: int = 0, tokens_out: int = 0) -> None:
        super().__init__(reason)
        self.tokens_in = tokens_in
        self.tokens_out = tokens_out


class Failed(Exception):
    """The server could not be asked, also after the client's own retries; asking again later may help."""


class Unusable(Failed):
    """No question can be asked: wrong address, key or model. The run ends; the message says what to mend."""


class LabelClient(Protocol):
    """What is asked: a vision-language model, on a server or here.

    Attributes:
        model: Its name, as labels will say.
        in_flight: How many questions may be open at once.
    """

    @property
    def model(self) -> str:
        """Its name."""

    @property
    def in_flight(self) -> int:
        """How many questions may be open at once."""

    async def ask(self, question: Question) -> Reply:
        """Answer a question.

        Raises:
            Refused: It will not answer.
            Failed: It cannot be asked.
            Unusable: Nor can it be asked anything else.
        """

    async def close(self) -> None:
        """Release connections; called in the loop in which it was asked."""


def check_client(client: object) -> None:
    """Refuse what cannot be asked, such as the bare name of a model.

    Raises:
        TypeError: It has no name or no `ask`.
    """
    if isinstance(getattr(client, "model", None), str) and callable(getattr(client, "ask", None)):
        return
    raise TypeError(
        f"client={checks.shown(client)} cannot be asked; give e.g. ember.OpenAIClient(model, base_url=...) "
        "or ember.TransformersClient(model)"
    )


@dataclass(frozen=True)
class Price:
    """What tokens cost.

    Args:
        per_million_in: Price of a million tokens of questions and pictures, 0 or more.
        per_million_out: Price of a million tokens of answers, 0 or more.
        currency: For people to read.

    Raises:
        TypeError, ValueError: A price is not a number, or is below 0.
    """

    per_million_in: float
    per_million_out: float
    currency: str = field(default="USD")

    def __post_init__(self) -> None:
        for name in ("per_million_in", "per_million_out"):
            if checks.number(name, getattr(self, name), hint="give the price of a million tokens") < 0:
                raise ValueError(
                    f"{name}={getattr(self, name)} is below 0; give the price of a million tokens"
                )
        checks.text("currency", self.currency)


def check_price(price: object) -> None:
    """Refuse what is no price.

    Raises:
        TypeError: It is neither a `Price` nor None.
    """
    if price is not None and not isinstance(price, Price):
        raise TypeError(
            f"price={checks.shown(price)} is not a Price; give e.g. ember.Price(2, 8), what a million tokens "
            "in and out cost"
        )


@runtime_checkable
class HasPrice(Protocol):
    """A client that knows what it costs."""

    @property
    def price(self) -> Price | None:
        """None = not known."""
