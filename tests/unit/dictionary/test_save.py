"""`SAE.save`: both formats, over what was there before, whole or not at all."""

from __future__ import annotations

import dataclasses
import errno
from pathlib import Path
from typing import Any

import pytest
import torch

from ember_widgets.dictionary.load import load_sae
from ember_widgets.dictionary.loaded import LoadedSAE
from ember_widgets.dictionary.sae import SAE
from ember_widgets.util import files

UP = "up_blocks.0.attentions.1"


def an_sae(n_features: int = 24, seed: int = 0, **fields: Any) -> SAE:
    random = torch.Generator().manual_seed(seed)

    def normal(*shape: int) -> torch.Tensor:
        return torch.randn(*shape, generator=random)

    given: dict[str, Any] = {
        "W_enc": normal(6, n_features),
        "b_enc": normal(n_features),
        "W_dec": normal(n_features, 6),
        "b_dec": normal(6),
        "activation": "batchtopk",
        "k": 3,
        "threshold": torch.tensor(0.75),
        "target": "update",
        "site": UP,
        "unit": normal(n_features).abs() + 0.1,
        "positional": (2, 5),
    }
    return SAE(**(given | fields))


def same(a: SAE, b: SAE) -> bool:
    x = torch.randn(50, 6, generator=torch.Generator().manual_seed(9))
    codes = torch.equal(a.encode(x), b.encode(x)) and torch.equal(
        a.decode(a.encode(x)), b.decode(b.encode(x))
    )
    return (
        codes
        and torch.equal(a.unit, b.unit)
        and (a.target, a.site, a.positional) == (b.target, b.site, b.positional)
    )


@pytest.mark.parametrize("format", ["ember", "saelens"])
def test_what_is_saved_is_read_back(tmp_path: Path, format: str) -> None:
    sae = an_sae()
    written = sae.save(tmp_path / "new" / "folder", format=format)
    assert written.is_file()
    assert same(load_sae(tmp_path / "new" / "folder"), sae)


def test_the_own_format_keeps_what_a_file_left_open(tmp_path: Path) -> None:
    sae = an_sae()
    fields = {f.name: getattr(sae, f.name) for f in dataclasses.fields(SAE)}
    loaded = LoadedSAE(**fields, alternatives=(dataclasses.replace(sae, target="output"),), unit_known=False)
    loaded.save(tmp_path)
    again = load_sae(tmp_path)
    assert (again.unit_known, [other.target for other in again.alternatives]) == (False, ["output"])


@pytest.mark.parametrize("new", ["ember", "saelens"])
@pytest.mark.parametrize("old", ["ember", "saelens"])
def test_an_older_sae_of_the_folder_is_replaced(tmp_path: Path, old: str, new: str) -> None:
    an_sae(48, seed=1).save(tmp_path, format=old)
    (tmp_path / "notes.txt").write_text("mine")
    sae = an_sae()
    sae.save(tmp_path, format=new)
    assert same(load_sae(tmp_path), sae)
    assert (tmp_path / "notes.txt").read_text() == "mine"
    expected = {
        "ember": {"sae.safetensors"},
        "saelens": {"cfg.json", "sae_weights.safetensors", "unit.safetensors"},
    }
    assert {file.name for file in tmp_path.iterdir()} == {"notes.txt", *expected[new]}


def test_files_that_others_wrote_are_not_removed(tmp_path: Path) -> None:
    (tmp_path / "cfg.json").write_text('{"architecture": "standard", "d_in": 6}')
    (tmp_path / "sae_weights.safetensors").write_bytes(b"theirs")
    an_sae().save(tmp_path)
    assert (tmp_path / "sae_weights.safetensors").read_bytes() == b"theirs"
    with pytest.raises(ValueError, match="holds 2 SAEs"):
        load_sae(tmp_path)


@pytest.mark.parametrize("broken", ["sae_weights.safetensors", "cfg.json", "unit.safetensors"])
def test_on_a_full_disk_the_older_sae_stays_whole(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, broken: str
) -> None:
    older = an_sae(48, seed=1)
    older.save(tmp_path, format="saelens")
    before = sorted(tmp_path.iterdir())
    replacing = files.replacing

    def full(path: Path) -> Any:
        if path.name == broken:
            raise OSError(errno.ENOSPC, "No space left on device", str(path))
        return replacing(path)

    monkeypatch.setattr(files, "replacing", full)
    with pytest.raises(OSError, match="No space left"):
        an_sae().save(tmp_path, format="saelens")
    assert sorted(tmp_path.iterdir()) == before
    assert same(load_sae(tmp_path), older)


def test_an_unknown_format_names_those_there_are(tmp_path: Path) -> None:
    with pytest.raises(ValueError) as caught:
        an_sae().save(tmp_path / "x", format="sae-lens")
    assert str(caught.value) == "format='sae-lens' cannot be written; choose 'ember' (exact) or 'saelens'"
    assert not (tmp_path / "x").exists()


def test_a_file_in_the_place_of_the_folder_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(OSError, match=rf"cannot write {tmp_path}/file"):
        an_sae().save(tmp_path / "file")
