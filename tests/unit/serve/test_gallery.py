"""The gallery: pictures in a folder, and names that never become paths."""

from __future__ import annotations

from pathlib import Path

import pytest

from ember_widgets.serve.server.gallery import Gallery


def png(number: int) -> bytes:
    return b"\x89PNG picture %d" % number


def test_pictures_are_shown_the_newest_first(tmp_path: Path) -> None:
    gallery = Gallery(tmp_path / "gallery")
    first = gallery.add(png(1), "Ada", "a lion")
    second = gallery.add(png(2), "Ben", "")
    assert [(entry.id, entry.person, entry.title) for entry in gallery.entries()] == [
        (second, "Ben", ""),
        (first, "Ada", "a lion"),
    ]
    assert gallery.picture(first) == png(1)


def test_pictures_of_one_moment_keep_their_order(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    gallery, moments = Gallery(tmp_path), iter([5.0, 5.0, 5.0, 4.0, 4.0, 6.0])  # a clock is set back
    monkeypatch.setattr("ember_widgets.serve.server.gallery.time.time", lambda: next(moments))
    ids = [gallery.add(png(number), "Ada", "") for number in range(6)]
    assert [entry.id for entry in gallery.entries()] == ids[::-1]


def test_another_process_sees_them(tmp_path: Path) -> None:
    gallery, other = Gallery(tmp_path), Gallery(tmp_path)
    id = gallery.add(png(1), "Ada", "a lion")
    assert [entry.id for entry in other.entries()] == [id]
    other.remove(id, "Ada", has_tokens=True)
    assert gallery.entries() == []


def test_the_same_picture_is_shown_once(tmp_path: Path) -> None:
    gallery = Gallery(tmp_path)
    assert gallery.add(png(1), "Ada", "a lion") == gallery.add(png(1), "Ada", "a lion")
    gallery.add(png(1), "Ben", "a lion")
    assert len(gallery.entries()) == 2


@pytest.mark.parametrize(
    "id", ["../../etc/passwd", "", "x", "0" * 13, "0000000000000-000000000000/../x", "\0"]
)
def test_an_id_that_the_gallery_did_not_make_is_none(tmp_path: Path, id: str) -> None:
    gallery = Gallery(tmp_path / "gallery")
    (tmp_path / "x.png").write_bytes(b"not yours")
    assert gallery.picture(id) is None
    assert not gallery.remove(id, "teacher", has_tokens=True)


def test_titles_are_short_text(tmp_path: Path) -> None:
    gallery = Gallery(tmp_path)
    gallery.add(png(1), "Ada", " <b>two\n words ")
    assert gallery.entries()[0].title == "<b>two words"
    for title in ("x" * 81, "a\u202eb", "a\0b"):
        with pytest.raises(ValueError, match="title"):
            gallery.add(png(2), "Ada", title)
    assert len(gallery.entries()) == 1


def test_a_person_removes_her_own_and_a_teacher_any(tmp_path: Path) -> None:
    gallery = Gallery(tmp_path)
    ids = [gallery.add(png(number), "Ada", "") for number in range(2)]
    with pytest.raises(PermissionError, match="Ada"):
        gallery.remove(ids[0], "Ben", has_tokens=True)
    for id, person in zip(ids, ("Ada", "teacher"), strict=True):
        assert gallery.remove(id, person, has_tokens=True)
    assert list(tmp_path.iterdir()) == []


def test_a_token_without_a_name_removes_nothing(tmp_path: Path) -> None:
    gallery = Gallery(tmp_path)
    for person in ("Ada", ""):  # the second may be of another token without a name
        id = gallery.add(png(1), person, "")
        with pytest.raises(PermissionError, match="no name"):
            gallery.remove(id, "", has_tokens=True)
    assert len(gallery.entries()) == 2


def test_without_tokens_this_computer_removes_any(tmp_path: Path) -> None:
    gallery = Gallery(tmp_path)
    for person in ("Ada", ""):
        assert gallery.remove(gallery.add(png(1), person, ""), "", has_tokens=False)
    assert gallery.entries() == []


def test_the_oldest_leave_when_there_are_too_many(tmp_path: Path) -> None:
    gallery = Gallery(tmp_path, most_pictures=3)
    ids = [gallery.add(png(number), "Ada", "") for number in range(5)]
    assert [entry.id for entry in gallery.entries()] == ids[:1:-1]
    small = Gallery(tmp_path, most_bytes=20)
    last = small.add(png(9), "Ada", "")
    assert [entry.id for entry in small.entries()] == [last]


def test_damaged_files_are_left_out(tmp_path: Path) -> None:
    gallery = Gallery(tmp_path)
    id = gallery.add(png(1), "Ada", "")
    for content in (b"", b"[]", b"{", b"[" * 10_000, b'{"person": 1}'):
        (tmp_path / "0000000000001-000000000000.json").write_bytes(content)
        assert [entry.id for entry in Gallery(tmp_path).entries()] == [id]
