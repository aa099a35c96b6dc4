"""`ember-widgets serve`: what it takes, and one line for each mistake, before Ray is started."""

from __future__ import annotations

import argparse
import os
import socket
import stat
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from ember_widgets.cli import main
from ember_widgets.cli import serve as command
from ember_widgets.cli.token_file import fill, people_of
from ember_widgets.serve.server.limits import Limits
from ember_widgets.serve.server.options import ServeOptions

Fails = Callable[..., str]


@pytest.fixture
def fails(capsys: pytest.CaptureFixture[str]) -> Fails:
    """Starts a server that must fail as for a user's mistake; returns its one line."""

    def run(*arguments: str) -> str:
        assert main.main(("serve", *arguments)) == 2
        printed = capsys.readouterr()
        assert printed.out == ""
        assert printed.err.count("\n") == 1
        return printed.err.removeprefix("ember-widgets: ").strip()

    return run


def parsed(*arguments: str) -> argparse.Namespace:
    parser = argparse.ArgumentParser()
    command.add_arguments(parser)
    return parser.parse_args(arguments)


def test_sizes_are_read_as_people_write_them() -> None:
    assert [command.size(text) for text in ("7", "2k", "512M", "1.5G", "2GiB", "2gb")] == [
        *(7, 2048, 512 * 2**20, 3 * 2**29, 2**31, 2**31)
    ]
    for text in ("", "-1", "G", "1X", "much"):
        with pytest.raises(argparse.ArgumentTypeError, match="is not a size"):
            command.size(text)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ((), "no model is given; give --model and --sae, or --embedded"),
        (("--model", "x"), "--sae is missing; give the hub id, folder or file of the SAE"),
        (("--embedded", "--model", "x"), "--model and --embedded exclude each other"),
        (("--embedded", "--sae", "x"), "--sae does not go with the embedded model, which has its own"),
        (("--model", "embedded", "--preview-vae", "x"), "--preview-vae does not go with the embedded model"),
        (("--embedded", "--device", "cuda"), "--device cuda: the embedded model runs on the CPU"),
        (("--embedded", "--host", "0.0.0.0"), "there are no tokens; give --token-file"),
        (("--embedded", "--host", "example.org"), "there are no tokens; give --token-file"),
        (("--embedded", "--token-file", "/none"), "--token-file:"),
        (("--embedded", "--make-tokens", "3"), "--make-tokens needs a file"),
        (("--embedded", "--make-tokens", "0", "--token-file", "x"), "give how many, 1 to 10,000"),
        (("--embedded", "--public-url", "example.org"), "give it as http://... or https://..."),
        (("--embedded", "--port", "70000"), "give a number from 0 to 65535"),
        (("--embedded", "--replicas", "0"), "replicas=0"),
        (("--embedded", "--max-replicas", "4"), "give min_replicas and max_replicas together"),
        (("--embedded", "--min-replicas", "5", "--max-replicas", "4"), "not fewer at most than at least"),
        (("--embedded", "--gpus-per-replica", "1.5"), "give a whole number, or a share from 0 to 1"),
        (("--embedded", "--max-steps", "0"), "limits must be larger than 0, but not: n_steps"),
        (("--embedded", "--concepts", "/none"), "concepts: there is no file /none"),
        (("--embedded", "--threads", "-1"), "threads=-1; give 1 or more"),
    ],
)
def test_a_mistake_is_one_line(fails: Fails, arguments: tuple[str, ...], message: str) -> None:
    port = () if "--port" in arguments else ("--port", "0")
    assert message in fails(*arguments, *port)


def test_the_extra_is_named_when_it_is_missing(fails: Fails, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(command, "find_spec", lambda name: None if name == "ray" else sys)
    assert fails("--embedded") == "Ray Serve is not installed; run: pip install 'ember-widgets[serve]'"


@pytest.fixture
def taken() -> Iterator[int]:
    """A port that somebody listens at."""
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        yield other.getsockname()[1]


def test_a_port_that_is_taken_is_named(fails: Fails, taken: int) -> None:
    assert f"cannot listen at 127.0.0.1:{taken}" in fails("--embedded", "--port", str(taken))


def test_what_is_not_said_stays_as_usual() -> None:
    assert command.serve_options(parsed("--embedded")) == ServeOptions(without_tokens=True, threads=threads())


def threads() -> int | None:
    return int(os.environ["OMP_NUM_THREADS"]) if "OMP_NUM_THREADS" in os.environ else None


def test_all_that_is_said_reaches_the_replicas(tmp_path: Path) -> None:
    tokens = tmp_path / "class.txt"
    fill(tokens, 1)
    wanted = command.serve_options(
        parsed(
            *("--model", "m", "--sae", "s", "--site", "down.2.1", "--site", "up.0.1", "--dtype", "float16"),
            *("--variant", "none", "--token-file", str(tokens), "--gallery", "g", "--replicas", "3"),
            *("--starts-memory", "2G", "--threads", "5", "--gpus-per-replica", "0.5", "--max-steps", "2"),
            *("--idle-minutes", "5", "--requests-per-s", "7", "--sessions", "9", "--sessions-per-token", "2"),
        )
    )
    assert wanted == ServeOptions(
        *("m", "s", ("down.2.1", "up.0.1")),
        dtype="float16",
        variant=None,
        token_file=str(tokens),
        gallery=str(Path.cwd() / "g"),  # the replicas work in another folder
        replicas=3,
        gpus_per_replica=0.5,
        threads=5,
        starts_memory=2**31,
        limits={
            "n_steps": 2,
            "requests_per_s": 7,
            "idle_minutes": 5,
            "sessions": 9,
            "sessions_per_token": 2,
        },
    )
    assert (wanted.all_limits.n_steps, wanted.all_limits.waiting) == (2, Limits().waiting)


def test_arguments_of_a_file_are_checked() -> None:
    with pytest.raises(TypeError, match="unknown args replica; known are .*replicas"):
        ServeOptions.from_args({"replica": 2})
    with pytest.raises(ValueError, match="there are no tokens"):
        ServeOptions.from_args({"model": "embedded"})
    with pytest.raises(ValueError, match="unknown limits step"):
        ServeOptions.from_args({"without_tokens": True, "limits": {"step": 1}})
    assert ServeOptions.from_args({"without_tokens": True, "site": "up.0.1"}).site == ("up.0.1",)


class TestTokenFile:
    def test_is_filled_and_stays_private(self, tmp_path: Path) -> None:
        path = tmp_path / "class.txt"
        first = fill(path, 2)
        assert stat.S_IMODE(path.stat().st_mode) == 0o600
        assert [name for name, _ in first] == ["person-1", "person-2"]
        assert all(len(token) >= 20 for _, token in first)
        assert fill(path, 3)[:2] == first  # those links stay valid
        assert len(people_of(path)) == 3

    def test_keeps_names_and_comments(self, tmp_path: Path) -> None:
        path = tmp_path / "class.txt"
        path.write_text("# my class\nAda 0123456789abcdef0123\nperson-1 fedcba98765432100123\n", "utf-8")
        people = fill(path, 3)
        assert [name for name, _ in people] == ["Ada", "person-1", "person-2"]
        assert path.read_text("utf-8").startswith("# my class\nAda 0123456789abcdef0123\n")


class TestAnnouncement:
    def test_says_what_to_type(self) -> None:
        text = "\n".join(command.announcement(parsed("--embedded"), 8777, []))
        assert "serves the embedded model at http://127.0.0.1:8777" in text
        assert 'painter = ember.connect("http://127.0.0.1:8777")' in text

    def test_has_a_link_for_each_person(self) -> None:
        options = parsed("--embedded", "--token-file", "x", "--public-url", "https://paint.example.org/")
        text = "\n".join(command.announcement(options, 8777, [("Ada", "abc")]))
        assert "    Ada: https://paint.example.org/#token=abc\n" in text
        assert 'ember.connect("https://paint.example.org", token="...")' in text

    def test_names_an_address_that_others_can_reach(self) -> None:
        assert "0.0.0.0" not in command.public_url(parsed("--host", "0.0.0.0"), 1)
        assert command.public_url(parsed("--host", "::1"), 1) == "http://[::1]:1"
