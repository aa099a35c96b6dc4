"""`ember-widgets serve`: what it takes, and one line for each mistake, before Ray is started."""

from __future__ import annotations

import argparse
import contextlib
import os
import re
import socket
import stat
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from ember_widgets.cli import main
from ember_widgets.cli import serve as command
from ember_widgets.cli.token_file import fill, people_of
from ember_widgets.serve.client.address import Address
from ember_widgets.serve.server import resources, served
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
        (("--embedded", "--max-steps", "0"), "n_steps=0 is too small; give 1 or more"),
        (("--embedded", "--concepts", "/none"), "concepts: there is no file /none"),
        (("--embedded", "--threads", "-1"), "threads=-1 is too small; give 1 or more"),
        (("--embedded", "--threads", "0"), "threads=0 is too small; give 1 or more"),
        (("--embedded", "--requests-per-s", "nan"), "requests_per_s=nan is not finite"),
        (
            ("--embedded", "--replicas", "3", "--min-replicas", "1", "--max-replicas", "2"),
            "replicas=3 has no effect beside min_replicas and max_replicas",
        ),
        (("--embedded", "--gpus-per-replica", "1"), "gpus_per_replica=1, but this model runs on the CPU"),
        (
            ("--embedded", "--class-size", "--token-file", "x", "--make-tokens", "3"),
            "--class-size serves nobody else; leave out --token-file and --make-tokens",
        ),
        (("--embedded", "--class-size", "--sessions", "9"), "serves nobody else; leave out --sessions"),
        (("--embedded", "--class-size", "--host", "0.0.0.0"), "serves nobody else; leave out --host"),
        (("--embedded", "--address", "auto", "--port", "70000"), "give a number from 0 to 65535"),
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


@pytest.mark.parametrize(
    ("args", "message"),
    [
        ({"replicas": "2"}, "replicas='2' is not a whole number; give an int, 1 or more"),
        ({"threads": 1.5}, "threads=1.5 is not a whole number"),
        ({"starts_memory": "1G"}, "starts_memory='1G' is not a whole number"),
        ({"gpus_per_replica": "half"}, "gpus_per_replica='half' is not a number; give a whole number, or a"),
        ({"without_tokens": "no"}, "without_tokens='no'; give true or false"),
        ({"site": 3}, "site=3 is not a list; give a list of sites"),
        ({"limits": None}, "limits=None is not a mapping"),
        ({"limits": {"n_steps": "4"}}, "n_steps='4' is not a whole number"),
        ({"limits": {"n_factors": 1.5}}, "n_factors=1.5 is not a whole number"),
        ({"limits": {"idle_minutes": 0}}, "idle_minutes=0 is too small; give a number above 0"),
        ({"limits": {"n_icons": 65}}, "n_icons=65 is outside 1..64; an answer has no more pictures"),
    ],
)
def test_values_of_a_file_are_checked(args: dict[str, Any], message: str) -> None:
    with pytest.raises((TypeError, ValueError), match=f"^{re.escape(message)}"):
        ServeOptions.from_args({"without_tokens": True} | args)


def test_threads_of_the_environment_count_unless_others_are_given(monkeypatch: pytest.MonkeyPatch) -> None:
    for given, threads in (("3", 3), ("0", None), ("2,4", None), ("", None)):
        monkeypatch.setenv("OMP_NUM_THREADS", given)
        assert command.serve_options(parsed("--embedded")).threads == threads
    assert command.serve_options(parsed("--embedded", "--threads", "5")).threads == 5


class TestResources:
    """Ray waits without end for what its cluster does not have."""

    @pytest.mark.parametrize(
        ("args", "message"),
        [
            ({"gpus_per_replica": 1, "replicas": 3}, "3 replicas would take 3 GPUs, but Ray sees 2"),
            (
                {"gpus_per_replica": 1, "min_replicas": 3, "max_replicas": 4},
                "3 replicas would take 3 GPUs, but Ray sees 2; give fewer replicas, or less than 1 GPU",
            ),
            (
                {"cpus_per_replica": 5, "gpus_per_replica": 1},
                "1 replica would take 5 CPU cores, but Ray sees 4; give fewer replicas, or fewer cores",
            ),
        ],
    )
    def test_too_few(self, args: dict[str, Any], message: str) -> None:
        with pytest.raises(ValueError, match=f"^{re.escape(message)}"):
            self.check(args)

    def test_enough(self) -> None:
        self.check({"gpus_per_replica": 1, "min_replicas": 1, "max_replicas": 4})
        self.check({"gpus_per_replica": 0.5, "replicas": 4})
        self.check({"device": "cpu", "cpus_per_replica": 2, "replicas": 2})

    def test_a_share_of_the_cores_that_ray_sees(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(os, "cpu_count", lambda: 64)
        there = {"CPU": 8.0}  # a container with a quota
        for n, cores in ((1, 8), (2, 4), (16, 0.5)):
            options = ServeOptions(without_tokens=True, replicas=n)
            assert resources.cpus_of(options, there) == cores
            resources.check(options, there)
        assert resources.cpus_of(ServeOptions(without_tokens=True), {"CPU": 1000.0}) == 64

    def check(self, args: dict[str, Any]) -> None:
        usual = {"without_tokens": True, "model": "m", "sae": "s", "cpus_per_replica": 1}
        resources.check(ServeOptions.from_args(usual | args), {"CPU": 4.0, "GPU": 2.0})


def test_the_size_of_a_class_is_found_where_the_server_listens(monkeypatch: pytest.MonkeyPatch) -> None:
    found: list[str] = []
    monkeypatch.setattr(command, "_find_class_size", found.append)
    monkeypatch.setattr(served, "Served", lambda *_, **__: contextlib.nullcontext())
    options = parsed("--embedded", "--class-size", "--host", "::1")
    command._serve(options, command.serve_options(options), 7, [])
    assert found == ["http://[::1]:7"]


class TestTokenFile:
    def test_is_filled_and_stays_private(self, tmp_path: Path) -> None:
        path = tmp_path / "class.txt"
        first = fill(path, 2)
        assert stat.S_IMODE(path.stat().st_mode) == 0o600
        assert [name for name, _ in first] == ["person-1", "person-2"]
        assert all(len(token) >= 20 for _, token in first)
        assert fill(path, 3)[:2] == first  # those links stay valid
        assert len(people_of(path)) == 3

    def test_a_file_that_has_enough_is_not_written(self, tmp_path: Path) -> None:
        path = tmp_path / "class.txt"
        people = fill(path, 2)
        path.chmod(0o440)  # for a server that runs as somebody else, or mounted like this
        before = path.stat()
        assert fill(path, 2) == fill(path, 1) == people
        after = path.stat()
        assert (after.st_ino, after.st_mode, after.st_mtime_ns) == (
            *(before.st_ino, before.st_mode, before.st_mtime_ns),
        )

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

    def test_links_bring_every_token_whole(self) -> None:
        token = "ab+c/d%41&e=="
        text = "\n".join(command.announcement(parsed("--token-file", "x"), 8777, [("Ada", token)]))
        (link,) = (line.split()[1] for line in text.splitlines() if "Ada" in line)
        assert Address.of(link).token == token

    def test_names_an_address_that_others_can_reach(self) -> None:
        assert "0.0.0.0" not in command.public_url(parsed("--host", "0.0.0.0"), 1)
        assert command.public_url(parsed("--host", "::1"), 1) == "http://[::1]:1"
