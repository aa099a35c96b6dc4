"""Who may connect."""

from __future__ import annotations

from pathlib import Path

import pytest

from ember_widgets.serve.server.access import account_of, person_of
from ember_widgets.serve.server.tokens import Tokens
from ember_widgets.serve.wire.loopback import is_loopback

HERE = {"host": "127.0.0.1:8777"}


def test_a_file_of_tokens(tmp_path: Path) -> None:
    path = tmp_path / "tokens.txt"
    path.write_text("# a class\nAda Lovelace abc123\n\n  Bob xyz789  \nlonely\n# Eve evil\n", "utf-8")
    tokens = Tokens.load(path)
    assert tokens.required
    names = [tokens.person(token) for token in ("abc123", "xyz789", "lonely", "evil", "abc12", "", None)]
    assert names == ["Ada Lovelace", "Bob", "", None, None, None, None]


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("# nothing\n", "has no token"),
        ("Ada abc\nBob abc\n", "line 2: this token is there already"),
        ("Ada schlüssel\n", "line 1: a token is empty, or has letters"),
    ],
)
def test_files_that_are_refused(tmp_path: Path, content: str, message: str) -> None:
    path = tmp_path / "tokens.txt"
    path.write_text(content, "utf-8")
    with pytest.raises(ValueError, match=message) as caught:
        Tokens.load(path)
    assert "abc" not in str(caught.value).replace(str(path), "")


def test_a_token_is_compared_with_all() -> None:
    tokens = Tokens({"a" * 20: "Ada", "b" * 20: "Bob"})
    assert person_of(tokens, HERE | {"authorization": "Bearer " + "b" * 20}, "8.8.8.8") == "Bob"
    for wrong in ({}, {"authorization": "Bearer c"}, {"authorization": "Basic " + "b" * 20}):
        with pytest.raises(PermissionError, match="token"):
            person_of(tokens, HERE | wrong, "127.0.0.1")


@pytest.mark.parametrize(
    ("headers", "address", "comes_in"),
    [
        (HERE, "127.0.0.1", True),
        ({"host": "localhost:1"}, "::1", True),
        (HERE | {"origin": "http://localhost:8888"}, "127.0.0.1", True),
        (HERE, "192.168.1.5", False),
        (HERE, None, False),
        # A page elsewhere that a browser of this computer shows; and a name that was pointed here.
        (HERE | {"origin": "https://evil.example"}, "127.0.0.1", False),
        (HERE | {"origin": "null"}, "127.0.0.1", False),
        ({"host": "evil.example"}, "127.0.0.1", False),
    ],
)
def test_without_tokens_only_this_computer(
    headers: dict[str, str], address: str | None, comes_in: bool
) -> None:
    if comes_in:
        assert person_of(Tokens(), headers, address) == ""
    else:
        with pytest.raises(PermissionError, match="no tokens"):
            person_of(Tokens(), headers, address)


def test_loopback() -> None:
    assert all(map(is_loopback, ["127.0.0.1", "127.8.8.8", "::1", "localhost", "::ffff:127.0.0.1"]))
    assert not any(map(is_loopback, ["0.0.0.0", "10.0.0.1", "localhost.evil.example", "", None]))


@pytest.mark.parametrize("headers", [{"host": "["}, {"host": "localhost", "origin": "http://[::1"}])
def test_a_name_that_cannot_be_read_is_not_this_computer(headers: dict[str, str]) -> None:
    with pytest.raises(PermissionError, match="no tokens"):
        person_of(Tokens(), headers, "127.0.0.1")


def test_a_token_has_one_account_however_its_header_is_written() -> None:
    tokens, token = Tokens({"a" * 20: ""}), "a" * 20
    headers = [{"authorization": f"{scheme}{token}"} for scheme in ("Bearer ", "bearer  ", "BEARER \t")]
    assert [person_of(tokens, HERE | one, "8.8.8.8") for one in headers] == ["", "", ""]
    assert {account_of(tokens, one, "8.8.8.8") for one in headers} == {f"token {token}"}
    # A proxy gives all who come through it one address, and some tokens have no name.
    other = account_of(tokens, {"authorization": "Bearer " + "b" * 20}, "8.8.8.8")
    assert other != account_of(tokens, headers[0], "8.8.8.8")


def test_without_tokens_an_address_has_one_account_whatever_token_it_sends() -> None:
    found = {account_of(Tokens(), {"authorization": f"Bearer {n}"}, "127.0.0.1") for n in range(3)}
    assert found == {"address 127.0.0.1"}
