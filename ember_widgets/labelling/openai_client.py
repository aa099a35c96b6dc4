"""A vision-language model behind OpenAI's interface: vLLM, Ollama, llama.cpp or a hosted one."""

from __future__ import annotations

import asyncio
import base64
import os
from typing import TYPE_CHECKING, Any

from ember_widgets.labelling.question import Failed, Price, Question, Refused, Reply, Unusable, check_price
from ember_widgets.util import checks

if TYPE_CHECKING:
    import openai

DETAILS = ("high", "low", "auto")
FORMS = ("json_schema", "json_object", "none")
"""Ways to have JSON answered, the strictest first; not every server has each."""
FORMAT_WORDS = ("response_format", "json_schema", "json_object", "structured", "grammar", "guided", "schema")
REFUSAL_WORDS = ("content_filter", "content_policy", "moderation_blocked", "responsible ai")
CONNECT_S = 10.0


class OpenAIClient:
    """Asks a server with OpenAI's interface (chat completions with pictures).

    The `openai` package waits and tries again after 429, 500 and lost connections, as long as the server's
    Retry-After says. `pip install 'ember-widgets[labels]'`.

    Args:
        model: As the server calls it.
        base_url: Of the server, such as "http://localhost:8000/v1" (vLLM), "http://localhost:11434/v1"
            (Ollama) or "http://localhost:8080/v1" (llama.cpp); None = OpenAI's.
        api_key: None = the environment's OPENAI_API_KEY, or a placeholder if there is none and `base_url` is
            given, for servers that ask for no key.
        in_flight: How many questions may be open at once, 1..256.
        timeout_s: How long one answer may take.
        max_retries: How often a question is sent again after a fault of the server or the network.
        price: For the cost of a run; None = not said.
        detail: "high", "low" or "auto": how closely servers that know this setting look at pictures.

    Raises:
        ImportError: The `openai` package is missing.
        TypeError, ValueError: An argument is outside its range, or there is no key.
    """

    def __init__(
        self,
        model: str,
        *,
        base_url: str | None = None,
        api_key: str | None = None,
        in_flight: int = 8,
        timeout_s: float = 120,
        max_retries: int = 6,
        price: Price | None = None,
        detail: str = "high",
    ) -> None:
        try:
            import openai  # noqa: F401
        except ImportError:
            raise ImportError(
                "OpenAIClient needs the openai package; run: pip install 'ember-widgets[labels]'"
            ) from None
        self._model = checks.text("model", model)
        if not model.strip():
            raise ValueError("model is empty; give the name by which the server knows the model")
        if base_url is not None and not checks.text("base_url", base_url).startswith(("http://", "https://")):
            raise ValueError(
                f"base_url={checks.shown(base_url)} is no address; give one such as 'http://localhost:8000/v1'"
            )
        self._base_url = base_url or os.environ.get("OPENAI_BASE_URL") or None
        key = api_key or os.environ.get("OPENAI_API_KEY") or ("none" if self._base_url else None)
        if key is None:
            raise ValueError(
                "there is no API key; set OPENAI_API_KEY or give api_key=, or give the base_url= of your own "
                "server"
            )
        self._key = checks.text("api_key", key)
        self._in_flight = checks.integer("in_flight", in_flight, 1, 256, hint="8 is usual")
        self._timeout_s = checks.number("timeout_s", timeout_s, hint="give seconds")
        if self._timeout_s <= 0:
            raise ValueError(f"timeout_s={timeout_s} leaves no time; give seconds above 0")
        self._max_retries = checks.integer("max_retries", max_retries, 0, 100, hint="6 is usual")
        if detail not in DETAILS:
            raise ValueError(f"detail={checks.shown(detail)} is not one of {', '.join(DETAILS)}")
        self._detail = detail
        check_price(price)
        self._price = price
        # What the server has refused to take, learnt from its answers.
        self._form = 0
        self._takes_temperature = True
        self._client: openai.AsyncOpenAI | None = None
        self._met: asyncio.Task[None] | None = None

    def __repr__(self) -> str:
        return f"OpenAIClient({self._model!r}, base_url={self._base_url!r})"  # without the key

    @property
    def model(self) -> str:
        """As the server calls it."""
        return self._model

    @property
    def in_flight(self) -> int:
        """How many questions may be open at once."""
        return self._in_flight

    @property
    def price(self) -> Price | None:
        """What tokens cost; None = not said."""
        return self._price

    async def ask(self, question: Question) -> Reply:
        """Answer a question.

        Raises:
            Refused: The model or a filter of its server will not.
            Failed: The server gave no answer, also when asked again.
            Unusable: It cannot be reached, or does not know the key or the model.
        """
        client = self._opened()
        if self._met is None:  # a server that is not there is said at once, not after all the retries
            self._met = asyncio.create_task(self._meet(client))
        await asyncio.shield(self._met)
        return _reply(await self._answer(client, question), self._said)

    async def close(self) -> None:
        """Release connections; the next question opens new ones."""
        client, self._client, met, self._met = self._client, None, self._met, None
        if met is not None:
            met.cancel()
            await asyncio.gather(met, return_exceptions=True)
        if client is not None:
            await client.close()

    def _opened(self) -> openai.AsyncOpenAI:
        import openai

        if self._client is None:
            self._client = openai.AsyncOpenAI(
                api_key=self._key,
                base_url=self._base_url,
                timeout=openai.Timeout(self._timeout_s, connect=min(CONNECT_S, self._timeout_s)),
                max_retries=self._max_retries,
            )
        return self._client

    async def _meet(self, client: openai.AsyncOpenAI) -> None:
        """Find out whether the server is there and takes the key; it need not list its models."""
        import openai

        quick = client.with_options(max_retries=1, timeout=min(CONNECT_S, self._timeout_s))
        try:
            await quick.models.list()
        except openai.AuthenticationError as fault:
            raise Unusable(self._explained(fault)) from None
        except openai.APITimeoutError:
            pass  # busy loading the model, perhaps
        except openai.APIConnectionError as fault:
            raise Unusable(self._explained(fault)) from None
        except Exception:
            pass  # not every server has this page; the question itself will say

    async def _answer(self, client: openai.AsyncOpenAI, question: Question) -> Any:
        """The server's reply, with the strictest form of JSON that it takes."""
        import openai

        form, temperature = self._form, self._takes_temperature
        while True:
            try:
                answer = await client.chat.completions.create(
                    **self._request(question, FORMS[form], temperature)
                )
            except (openai.BadRequestError, openai.UnprocessableEntityError) as fault:
                said = f"{fault.code} {fault.message} {fault.body}".lower()
                if any(word in said for word in REFUSAL_WORDS):
                    raise Refused(self._said(fault.message)) from None
                about_format = any(word in said for word in FORMAT_WORDS)
                if temperature and "temperature" in said and not about_format:
                    temperature = False
                elif form + 1 < len(FORMS):  # the server may not say what it minds
                    form = form + 1
                else:
                    raise Failed(self._explained(fault)) from None
            except openai.OpenAIError as fault:
                raise self._fault(fault) from None
            except (ValueError, TypeError) as fault:  # not JSON
                raise Failed(f"{self._where()} answered with something else: {self._said(fault)}") from None
            else:
                # Known only now: a question that is wrong for another reason is refused in every form.
                self._form, self._takes_temperature = max(form, self._form), temperature
                return answer

    def _request(self, question: Question, form: str, temperature: bool) -> dict[str, Any]:
        kind = "png" if question.picture.startswith(b"\x89PNG") else "jpeg"
        url = f"data:image/{kind};base64,{base64.b64encode(question.picture).decode()}"
        formats: dict[str, Any] = {
            "json_schema": {
                "type": "json_schema",
                "json_schema": {"name": question.kind, "strict": True, "schema": dict(question.schema)},
            },
            "json_object": {"type": "json_object"},
        }
        return {
            "model": self._model,
            "messages": [
                {
                    "role": "user",
                    "content": [
                        {"type": "text", "text": question.text},
                        {"type": "image_url", "image_url": {"url": url, "detail": self._detail}},
                    ],
                }
            ],
            "extra_headers": {"Idempotency-Key": question.id},
            **({"response_format": formats[form]} if form in formats else {}),
            **({"temperature": 0} if temperature else {}),
        }

    def _fault(self, fault: openai.OpenAIError) -> Failed:
        import openai

        said = self._explained(fault)
        if isinstance(fault, openai.APIStatusError):
            is_broke = fault.status_code == 429 and "insufficient_quota" in f"{fault.code} {fault.body}"
            if is_broke or fault.status_code in (401, 402, 403, 404):
                return Unusable(said)
        return Failed(said)

    def _explained(self, fault: Exception) -> str:
        """What happened and what to do."""
        import openai

        where = self._where()
        if isinstance(fault, openai.APITimeoutError):
            return f"{where} did not answer within {self._timeout_s:g} s; give a longer timeout_s="
        if isinstance(fault, openai.APIConnectionError):
            cause = self._said(fault.__cause__ or fault)
            return f"{where} cannot be reached ({cause}); start the server, or mend base_url="
        said = self._said(getattr(fault, "message", fault))
        status = getattr(fault, "status_code", None)
        if status in (401, 403):
            return f"{where} does not take the key ({said}); give api_key= or set OPENAI_API_KEY"
        if status == 404:
            return (
                f"{where} does not know the model {self._model!r}, or base_url= is not its address, which "
                f"mostly ends in /v1 ({said})"
            )
        return f"{where} cannot answer ({said})"

    def _where(self) -> str:
        return self._base_url or "OpenAI's server"

    def _said(self, message: object) -> str:
        """Of a message as much as people read, without the key."""
        text = " ".join(str(message).split())
        if len(self._key) > 6:
            text = text.replace(self._key, "(key)")
        return text[:300]


def _reply(answer: Any, said: Any) -> Reply:
    """What a chat completion says.

    Raises:
        Refused: It is a refusal.
        Failed: It is no chat completion.
    """
    choices = getattr(answer, "choices", None)
    if not isinstance(choices, list):
        raise Failed(
            f"the server answered with no chat completion ({said(answer)}); mend base_url=, which mostly "
            "ends in /v1"
        )
    usage = getattr(answer, "usage", None)
    tokens_in = _count(getattr(usage, "prompt_tokens", 0))
    tokens_out = _count(getattr(usage, "completion_tokens", 0))
    message = getattr(choices[0], "message", None) if choices else None
    reason = getattr(choices[0], "finish_reason", None) if choices else None
    refusal = getattr(message, "refusal", None)
    if refusal or reason == "content_filter":
        raise Refused(said(refusal or "its server's filter held the answer back"), tokens_in, tokens_out)
    content = getattr(message, "content", None)
    return Reply(content if isinstance(content, str) else "", tokens_in, tokens_out, reason == "length")


def _count(value: object) -> int:
    return value if isinstance(value, int) and 0 <= value < 2**53 else 0
