"""FeatureSpace: every feature has one place, whatever the sites and their sizes."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ember_widgets.scene import site_names
from ember_widgets.scene.feature_space import FeatureSpace

NAMED = tuple(site_names.ALIASES.values())
# Short names, and names that no table has, are sites too: a scene may call its sites as it likes.
sites = st.sampled_from((*NAMED, *site_names.ALIASES)) | st.text(max_size=6)
spaces = st.dictionaries(sites, st.integers(0, 300), min_size=1, max_size=5).map(FeatureSpace.of)
kinds = st.sampled_from((int, np.int64, np.int32, np.uint16, np.uint64, np.array))


@given(spaces)
def test_every_feature_is_at_one_site_and_comes_back(space: FeatureSpace) -> None:
    found = [space.locate(feature) for feature in range(space.n_features)]
    assert found == [
        (site, feature) for site, n in zip(space.sites, space.sizes, strict=True) for feature in range(n)
    ]
    assert [space.index(local, site) for site, local in found] == list(range(space.n_features))


@given(spaces)
def test_columns_of_all_sites_are_all_features_once(space: FeatureSpace) -> None:
    columns = [np.arange(space.n_features)[space.columns(site)] for site in space.sites]
    assert np.concatenate(columns).tolist() == list(range(space.n_features))
    assert [len(part) for part in columns] == [space.size(site) for site in space.sites]
    for site, part in zip(space.sites, columns, strict=True):
        assert all(space.site(int(feature)) == site for feature in part)


@given(st.dictionaries(st.sampled_from(NAMED), st.integers(1, 99), min_size=1).map(FeatureSpace.of))
def test_a_site_may_be_called_by_its_short_name(space: FeatureSpace) -> None:
    for site in space.sites:
        assert space.columns(site_names.short(site)) == space.columns(site)
        assert space.index(0, site_names.short(site)) == space.index(0, site)


@given(spaces, kinds, st.data())
def test_numpy_integers_are_integers(space: FeatureSpace, kind: Any, data: st.DataObject) -> None:
    feature = data.draw(st.integers(0, max(space.n_features - 1, 0)))
    if space.n_features:
        site, local = space.locate(kind(feature))
        assert (site, local) == space.locate(feature)
        assert type(local) is int
        assert type(space.index(kind(local), site)) is int


@given(spaces, st.integers() | st.floats() | st.booleans() | st.none() | st.text(max_size=3), st.data())
def test_what_is_no_feature_is_refused_with_one_error(
    space: FeatureSpace, given: Any, data: st.DataObject
) -> None:
    site = data.draw(st.sampled_from(space.sites))
    is_number = isinstance(given, int) and not isinstance(given, bool)
    for find, n in ((space.locate, space.n_features), (lambda f: space.index(f, site), space.size(site))):
        if is_number and 0 <= given < n:
            continue
        with pytest.raises((TypeError, ValueError), match="feature="):
            find(given)


@given(spaces, sites)
def test_a_site_that_is_not_there_is_refused_with_one_error(space: FeatureSpace, site: str) -> None:
    if site in space.sites or site_names.full(site) in space.sites:
        assert space.full(site) in space.sites
        return
    for ask in (space.full, space.size, space.columns, lambda site: space.index(0, site)):
        with pytest.raises(ValueError, match="is not steered here; choose one of"):
            ask(site)
