"""Icons: small pictures of features in one file, more of them made in the background."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from ember_widgets.features import icons
from ember_widgets.features.icons import Icons
from ember_widgets.util import files


def draw(features: Sequence[int]) -> list[Image.Image]:
    return [Image.new("RGB", (128, 128), (feature % 256, 100, 50)) for feature in features]


def color_of(picture: Image.Image) -> list[int]:
    return [int(value) for value in np.asarray(picture)[32, 32]]


def test_are_made_once_and_kept(tmp_path: Path) -> None:
    drawn: list[int] = []

    def counting(features: Sequence[int]) -> list[Image.Image]:
        drawn.extend(features)
        return draw(features)

    file = tmp_path / "new" / "icons.zip"
    made = Icons(300, counting, key="k", file=file)
    made.make([5, 200, 5], progress=False)
    made.make([200, 7], progress=False)
    assert drawn == [5, 200, 7]
    again = Icons(300, key="k", file=file)
    assert sorted(again) == [5, 7, 200]
    assert again[200].size == (icons.SIDE, icons.SIDE)
    assert abs(np.subtract(color_of(again[200]), (200, 100, 50))).max() < 8
    assert again.address(200).startswith("data:image/webp;base64,")
    assert again.address(9) == ""


def test_show_the_middle_of_the_picture() -> None:
    picture = Image.new("RGB", (160, 160), "red")
    picture.paste("blue", (30, 30, 130, 130))
    made = Icons(1, lambda features: [picture])
    made.make([0], progress=False)
    red, _, blue = np.asarray(made[0]).reshape(-1, 3).mean(0)
    assert (red < 10, blue > 240) == (True, True)


def test_of_other_weights_are_not_taken(tmp_path: Path) -> None:
    file = tmp_path / "icons.zip"
    Icons(10, draw, key="one", file=file).make([1], progress=False)
    assert len(Icons(10, key="two", file=file)) == 0
    file.write_bytes(b"PK damaged")
    assert len(Icons(10, key="one", file=file)) == 0


def test_that_came_with_the_sae_are_there_too(tmp_path: Path) -> None:
    Icons(10, draw, key="k", file=tmp_path / "shipped.zip").make([1, 2], progress=False)
    before = (tmp_path / "shipped.zip").read_bytes()
    made = Icons(
        10, draw, key="k", file=tmp_path / "own.zip", shipped=icons.read(tmp_path / "shipped.zip", "k")
    )
    made.make([2, 3], progress=False)
    assert sorted(made) == [1, 2, 3]
    assert (tmp_path / "shipped.zip").read_bytes() == before


def test_two_processes_add_to_one_file(tmp_path: Path) -> None:
    one, two = (Icons(10, draw, key="k", file=tmp_path / "icons.zip") for _ in range(2))
    one.make([1], progress=False)
    two.make([2], progress=False)
    assert sorted(Icons(10, key="k", file=tmp_path / "icons.zip")) == [1, 2]


class TestInTheBackground:
    def test_those_wanted_last_come_first(self, tmp_path: Path) -> None:
        gate, order = threading.Event(), list[int]()

        def slow(features: Sequence[int]) -> list[Image.Image]:
            gate.wait(10)
            order.extend(features)
            return draw(features)

        told: list[int] = []
        made = Icons(300, slow, key="k", file=tmp_path / "icons.zip", batch=2)
        end = made.on_made(told.extend)
        made.want([1, 2, 3, 4])
        made.want([9, 3])
        gate.set()
        assert made.wait(10)
        assert order[:2] in ([1, 2], [9, 3])  # the first two may be under way already
        assert order.index(9) < order.index(4)
        assert sorted(told) == sorted(made) == [1, 2, 3, 4, 9]
        assert sorted(Icons(300, key="k", file=tmp_path / "icons.zip")) == [1, 2, 3, 4, 9]
        end()
        made.want([20])
        assert made.wait(10)
        assert 20 in made
        assert 20 not in told

    def test_a_fault_ends_it_and_is_kept(self) -> None:
        def broken(features: Sequence[int]) -> list[Image.Image]:
            raise FloatingPointError("overflow")

        made = Icons(10, broken)
        made.want([1, 2])
        assert made.wait(10)
        assert isinstance(made.last_error, FloatingPointError)
        assert made.waiting == 0

    def test_nothing_more_may_be_wanted(self) -> None:
        gate = threading.Event()

        def slow(features: Sequence[int]) -> list[Image.Image]:
            gate.wait(10)
            return draw(features)

        made = Icons(100, slow, batch=1)
        made.want(range(50))
        made.forget_wanted()
        gate.set()
        assert made.wait(10)
        assert len(made) <= 1

    def test_those_wanted_during_the_last_save_are_made(self, monkeypatch: pytest.MonkeyPatch) -> None:
        made = Icons(10, draw)
        save, wanted = made.save, list[int]()

        def saving() -> None:
            if not wanted:
                wanted.append(2)
                made.want([2])
            save()

        monkeypatch.setattr(made, "save", saving)
        made.want([1])
        assert made.wait(10)
        assert sorted(made) == [1, 2]

    @pytest.mark.parametrize("fault", [SystemExit, KeyboardInterrupt])
    def test_a_thread_that_is_told_to_exit_keeps_nobody_waiting(self, fault: type[BaseException]) -> None:
        faults = [fault()]

        def leaving(features: Sequence[int]) -> list[Image.Image]:
            if faults:
                raise faults.pop()
            return draw(features)

        made = Icons(10, leaving)
        made.want([1])
        assert made.wait(10)
        assert isinstance(made.last_error, fault)
        made.want([1])
        assert made.wait(10)
        assert sorted(made) == [1]

    @pytest.mark.parametrize("fault", [RuntimeError(), SystemExit(3), KeyboardInterrupt()], ids=repr)
    def test_all_are_made_if_somebody_who_wants_to_know_fails(self, fault: BaseException) -> None:
        def fail(features: list[int]) -> None:
            raise fault

        made, told = Icons(300, draw), list[int]()
        made.on_made(fail)
        made.on_made(told.extend)
        made.want(range(20))
        assert made.wait(30)
        assert sorted(made) == sorted(told) == list(range(20))
        assert made.last_error is fault

    @pytest.mark.parametrize(
        "fault",
        [OSError("disk full"), RuntimeError("of another kind"), SystemExit(3), KeyboardInterrupt()],
        ids=repr,
    )
    def test_all_are_made_where_nothing_can_be_written(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, fault: BaseException
    ) -> None:
        def refuse(path: Path, data: bytes) -> None:
            raise fault

        monkeypatch.setattr(files, "write", refuse)
        made = Icons(300, draw, key="k", file=tmp_path / "icons.zip")
        made.want(range(200))
        assert made.wait(30)
        assert len(made) == 200
        assert made.last_error is fault
        with pytest.raises(type(fault)):
            made.make([250], progress=False)
        assert 250 in made


def encrypted(data: bytes) -> bytes:
    at = data.index(b"PK\x01\x02")
    return data[: at + 8] + b"\x01" + data[at + 9 :]


def of_an_unknown_kind(data: bytes) -> bytes:
    at = data.index(b"PK\x01\x02")
    return data[: at + 10] + b"\x62" + data[at + 11 :]


@pytest.mark.parametrize(
    "damaged", [encrypted, of_an_unknown_kind, lambda data: data[:-30], lambda data: b""]
)
def test_a_damaged_file_is_made_again(tmp_path: Path, damaged: Callable[[bytes], bytes]) -> None:
    file = tmp_path / "icons.zip"
    Icons(10, draw, key="k", file=file).make([1, 2], progress=False)
    file.write_bytes(damaged(file.read_bytes()))
    again = Icons(10, draw, key="k", file=file)
    assert len(again) == 0
    again.make([1], progress=False)
    assert sorted(Icons(10, key="k", file=file)) == [1]


def test_what_is_not_a_picture_is_made_again(tmp_path: Path) -> None:
    icons.write(tmp_path / "icons.zip", {1: b"not a picture", 2: icons.packed(draw([2])[0])}, "k")
    assert sorted(Icons(10, key="k", file=tmp_path / "icons.zip")) == [2]


def test_what_cannot_be_is_refused() -> None:
    with pytest.raises(ValueError, match=r"feature=10 is outside 0\.\.9; the SAE has 10 features"):
        Icons(10, draw).make([10])
    with pytest.raises(RuntimeError, match="there is no painter; use painter.icons"):
        Icons(10).make([1])
    with pytest.raises(KeyError):
        Icons(10)[1]
