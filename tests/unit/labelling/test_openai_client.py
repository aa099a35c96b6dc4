"""The client for OpenAI's interface, against a real server on this machine."""

from __future__ import annotations

import asyncio
import base64
import builtins
import socket
import time
from typing import Any

import pytest

import ember_widgets.labelling.questions as questions
from ember_widgets.labelling.openai_client import OpenAIClient
from ember_widgets.labelling.question import Failed, Price, Question, Refused, Reply, Unusable
from tests.unit.labelling.bench import Answer, Request, Sent, Server, completion, error, right, serving

QUESTION = Question("id-1", "label", questions.LABEL, b"\xff\xd8 a sheet", questions.SCHEMAS["label"])


def ask(client: OpenAIClient, n: int = 1) -> list[Reply]:
    async def run() -> list[Reply]:
        try:
            return [await client.ask(QUESTION) for _ in range(n)]
        finally:
            await client.close()

    return asyncio.run(run())


def asked(answer: Answer, **more: Any) -> tuple[Reply, Server]:
    with serving(answer) as server:
        return ask(server.client(**more))[0], server


def in_turn(*answers: Sent) -> Answer:
    """Sends these, one after the other, and then the right answer."""
    left = list(answers)
    return lambda request: left.pop(0) if left else right(request)


class TestAQuestion:
    def test_is_sent_as_openai_has_it(self) -> None:
        reply, server = asked(right)
        request = server.requests[0]
        assert request.key == "id-1"
        assert request.text == QUESTION.text
        assert base64.b64decode(request.url.removeprefix("data:image/jpeg;base64,")) == QUESTION.picture
        assert request.body["model"] == "eyes"
        assert request.body["temperature"] == 0
        schema = request.body["response_format"]["json_schema"]
        assert schema == {"name": "label", "strict": True, "schema": questions.SCHEMAS["label"]}
        assert request.body["messages"][0]["content"][1]["image_url"]["detail"] == "high"
        assert questions.named(reply.text).label == "red lion"
        assert (reply.tokens_in, reply.tokens_out, reply.is_cut_off) == (1000, 20, False)

    def test_can_be_asked_in_one_loop_after_the_other(self) -> None:
        with serving() as server:
            client = server.client()
            assert ask(client) == ask(client)

    @pytest.mark.parametrize("takes", ["json_object", None])
    def test_is_asked_without_a_form_that_the_server_does_not_have(self, takes: str | None) -> None:
        def answer(request: Request) -> Sent:
            kind = request.body.get("response_format", {}).get("type")
            return right(request) if kind == takes else error(400, f"response_format {kind} is not supported")

        with serving(answer) as server:
            replies = ask(server.client(), 3)
        assert [questions.named(reply.text).label for reply in replies] == ["red lion"] * 3
        # Found out once, not with every question.
        assert len(server.requests) == 3 + (1 if takes else 2)

    def test_is_asked_without_a_temperature_that_the_server_does_not_take(self) -> None:
        reply, server = asked(
            lambda r: error(400, "Unsupported value: 'temperature'") if "temperature" in r.body else right(r)
        )
        assert "response_format" in server.requests[-1].body
        assert reply.text

    def test_that_is_wrong_in_every_form_teaches_nothing(self) -> None:
        with serving(lambda request: error(400, "the picture is too large")) as server:
            client = server.client()
            with pytest.raises(Failed, match="the picture is too large"):
                ask(client)
            server.answer = right
            ask(client)
            assert server.requests[-1].body["response_format"]["type"] == "json_schema"


class TestAnAnswer:
    def test_that_was_cut_off_says_so(self) -> None:
        reply, _ = asked(lambda request: completion('{"label": "red', finish="length"))
        assert reply.is_cut_off
        assert reply.text == '{"label": "red'

    @pytest.mark.parametrize("text", [None, ""])
    def test_may_be_empty(self, text: str | None) -> None:
        assert asked(lambda request: completion(text))[0].text == ""

    def test_may_have_no_choices(self) -> None:
        assert asked(lambda request: Sent({"choices": [], "usage": None}))[0] == Reply("")

    @pytest.mark.parametrize(
        "sent",
        [
            completion(None, refusal="I cannot help with that"),
            completion("", finish="content_filter"),
            error(400, "The prompt was filtered", code="content_filter"),
            error(400, "Rejected", code="content_policy_violation"),
        ],
    )
    def test_may_be_a_refusal(self, sent: Sent) -> None:
        with serving(lambda request: sent) as server, pytest.raises(Refused):
            ask(server.client())
        assert len(server.requests) == 1

    @pytest.mark.parametrize("body", [[], {"error": "no"}, {"choices": 3}, 7, "{", ""])
    def test_that_is_no_chat_completion_is_a_failure(self, body: object) -> None:
        with serving(lambda request: Sent(body)) as server, pytest.raises(Failed, match="answered with"):
            ask(server.client())

    def test_that_is_a_web_page_is_a_failure(self) -> None:
        page = Sent("<html>welcome</html>", content_type="text/html")
        with serving(lambda request: page) as server, pytest.raises(Failed, match="mend base_url"):
            ask(server.client())


class TestAFault:
    def test_429_waits_as_long_as_the_server_says(self) -> None:
        _, server = asked(in_turn(error(429, "slow down", Retry_After="0.3")), max_retries=2)
        first, second = server.requests
        assert 0.3 <= second.at - first.at < 3
        assert first.key == second.key

    def test_500_is_sent_again_by_the_library(self) -> None:
        _, server = asked(in_turn(error(500, "oops", retry_after_ms="10")), max_retries=1)
        assert len(server.requests) == 2

    def test_500_for_good_is_a_failure(self) -> None:
        fault = error(500, "oops", retry_after_ms="10")
        with serving(lambda request: fault) as server, pytest.raises(Failed, match="oops") as caught:
            ask(server.client(max_retries=2))
        assert not isinstance(caught.value, Unusable)
        assert len(server.requests) == 3

    def test_a_slow_answer_is_a_failure(self) -> None:
        slow = right(Request("", "label", "", "", {}))
        slow.after_s = 0.5
        with (
            serving(lambda request: slow) as server,
            pytest.raises(Failed, match="did not answer within 0.1 s"),
        ):
            ask(server.client(timeout_s=0.1))

    @pytest.mark.parametrize(
        ("sent", "message"),
        [
            (error(401, "Incorrect API key provided: secret-key"), "does not take the key"),
            (error(404, "The model 'eyes' does not exist"), "does not know the model 'eyes'"),
            (error(402, "no credit"), "no credit"),
            (error(429, "You exceeded your quota", code="insufficient_quota"), "exceeded your quota"),
        ],
    )
    def test_that_every_question_would_have_is_unusable(self, sent: Sent, message: str) -> None:
        with serving(lambda request: sent) as server, pytest.raises(Unusable, match=message) as caught:
            ask(server.client())
        assert "secret-key" not in str(caught.value)

    def test_a_server_that_is_not_there_is_said_at_once(self) -> None:
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            url = f"http://127.0.0.1:{free.getsockname()[1]}/v1"
        begin = time.monotonic()
        with pytest.raises(Unusable, match=r"cannot be reached .*start the server, or mend base_url="):
            ask(OpenAIClient("eyes", base_url=url))
        assert time.monotonic() - begin < 4  # with all its retries it would be 20 s

    def test_a_wrong_key_is_said_before_a_picture_is_sent(self) -> None:
        with serving() as server:
            server.models_status = 401
            with pytest.raises(Unusable, match="does not take the key"):
                ask(server.client())
        assert server.requests == []


class TestArguments:
    @pytest.mark.parametrize(
        ("more", "message"),
        [
            ({"base_url": "localhost:8000"}, "is no address; give one such as"),
            ({"in_flight": 0}, "in_flight=0 is outside 1..256"),
            ({"timeout_s": 0}, "leaves no time"),
            ({"max_retries": -1}, "max_retries=-1 is outside"),
            ({"detail": "most"}, "is not one of high, low, auto"),
        ],
    )
    def test_are_checked(self, more: dict[str, Any], message: str) -> None:
        with pytest.raises(ValueError, match=message):
            OpenAIClient("eyes", **{"api_key": "k", **more})

    def test_without_a_key_say_what_to_do(self, monkeypatch: pytest.MonkeyPatch) -> None:
        for name in ("OPENAI_API_KEY", "OPENAI_BASE_URL"):
            monkeypatch.delenv(name, raising=False)
        with pytest.raises(ValueError, match="set OPENAI_API_KEY or give api_key="):
            OpenAIClient("gpt")
        assert OpenAIClient("eyes", base_url="http://localhost:1/v1").model == "eyes"

    def test_without_the_package_say_what_to_install(self, monkeypatch: pytest.MonkeyPatch) -> None:
        real = builtins.__import__

        def missing(name: str, *rest: Any, **more: Any) -> Any:
            if name == "openai":
                raise ImportError(name)
            return real(name, *rest, **more)

        monkeypatch.setattr(builtins, "__import__", missing)
        with pytest.raises(ImportError, match=r"pip install 'ember-widgets\[labels\]'"):
            OpenAIClient("eyes", api_key="k")

    def test_are_kept_but_the_key_is_not_shown(self) -> None:
        client = OpenAIClient("eyes", api_key="secret-key", in_flight=3, price=Price(1, 2))
        assert (client.in_flight, client.price) == (3, Price(1, 2))
        assert "secret" not in repr(client)
