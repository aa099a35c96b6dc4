"""A question to a vision-language model and what came back, as values."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal, Protocol, runtime_checkable

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


@dataclass(frozen=True)
class Price:
    """What tokens cost.

    Args:
        per_million_in: Price of a million tokens of questions and pictures.
        per_million_out: Price of a million tokens of answers.
        currency: For people to read.
    """

    per_million_in: float
    per_million_out: float
    currency: str = field(default="USD")


@runtime_checkable
class HasPrice(Protocol):
    """A client that knows what it costs."""

    @property
    def price(self) -> Price | None:
        """None = not known."""
