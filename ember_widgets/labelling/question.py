"""A question to a vision-language model and what came back, as values."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal, Protocol

Kind = Literal["label", "detection", "causal"]


@dataclass(frozen=True)
class Question:
    """One call.

    Args:
        id: Names the call; the same id is the same question, and is asked once only.
        kind: What is asked.
        text: The question, in English.
        picture: The sheet, as PNG or WebP.
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
    """

    text: str
    tokens_in: int = 0
    tokens_out: int = 0


class Refused(Exception):
    """The model or its server will not answer this question; asking again will not help."""


class Failed(Exception):
    """The server could not be asked, also after the client's own retries; asking again later may help."""


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
