"""How a scene changes each site's output: the equation of `painter`, in tensors."""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Callable, Sequence
from weakref import WeakKeyDictionary

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from ember_widgets.dictionary.sae import SAE
from ember_widgets.model.runs import Edit, Run, SiteState
from ember_widgets.scene.feature_space import FeatureSpace
from ember_widgets.scene.scene import Scene
from ember_widgets.scene.steps import Drawn

KEPT = 16
"""How many products of basis and decoder are kept per SAE."""


def run_of(scene: Scene) -> Run:
    """The run that a scene edits."""
    return Run(scene.prompt, scene.seed, scene.n_steps, scene.guidance, scene.image, scene.image_strength)


def target(sae: SAE, state: SiteState) -> Tensor:
    """What the SAE encodes, (n_patches, d_model) float32; with guidance, of the conditional half."""
    vectors = state.hidden_out[-1].float()
    if sae.target == "update":
        vectors = vectors - state.hidden_in[-1].float()
    return vectors.flatten(1).T


def edits(scene: Scene, saes: Sequence[SAE]) -> list[Edit | None]:
    """The edit at each site, in the order of `saes`; None where the scene leaves a site as it is.

    The remainder mask is the first site's.
    """
    space = FeatureSpace.of({one.site: one.n_features for one in saes})
    first, stop = scene.edit_steps or (0, scene.n_steps)
    layers = [scene.layers.acting(step) for step in range(first, stop)]
    # Most steps are drawn alike: without layers there is one change for all of them.
    drawn = {acting: scene.drawn(acting) for acting in layers}
    found = []
    for i, sae in enumerate(saes):
        here = space.columns(sae.site)
        changes = {acting: _change(scene, one, sae, here, is_first=i == 0) for acting, one in drawn.items()}
        found.append(_edit([changes[acting] for acting in layers], first))
    return found


_lock = threading.Lock()
_known: WeakKeyDictionary[SAE, OrderedDict[bytes, Tensor]] = WeakKeyDictionary()


def _directions(basis: NDArray[np.float32], sae: SAE) -> Tensor:
    """What one unit of each factor adds at the site, H·W_dec: (K, F) -> (K, d_model).

    A stroke changes strengths and no basis. With ten thousand features this product takes longer than the
    rest of an edit, so the last few are kept.
    """
    key = basis.tobytes() + str(sae.W_dec._version).encode()  # its weights may be changed in place
    with _lock:
        known = _known.setdefault(sae, OrderedDict())
        if key not in known:
            known[key] = torch.tensor(basis, device=sae.W_dec.device) @ sae.W_dec
        known.move_to_end(key)
        while len(known) > KEPT:
            known.popitem(last=False)
        return known[key]


Change = Callable[[SiteState], Tensor]
"""What is added to a site's output at a step, (n_patches, d_model)."""


def _edit(changes: Sequence[Change | None], first: int) -> Edit | None:
    """The edit that makes these changes, one per step from the first on; None if there are none."""
    if not any(changes):
        return None

    def steer(step: int, state: SiteState) -> Tensor:
        out = state.hidden_out
        change = changes[step - first] if first <= step < first + len(changes) else None
        if change is None:
            return out
        half = change(state).T.reshape(out[-1:].shape).to(out.dtype)
        # With guidance the unconditional half comes first; it stays as it is.
        return out + half if len(out) == 1 else torch.cat([out[:-1], out[-1:] + half])

    return steer


def _change(scene: Scene, drawn: Drawn, sae: SAE, here: slice, *, is_first: bool) -> Change | None:
    """The change at one site where this is drawn; None if there is none."""
    n_patches = scene.remainder.size

    def tensor(array: NDArray[np.float32]) -> Tensor:
        return torch.tensor(array, device=sae.W_dec.device)

    def analysed(factors: list[int]) -> Tensor:
        """What some of the analysed factors contribute, S0·H0·W_dec."""
        strengths = tensor(scene.base_strengths[..., factors]).reshape(n_patches, len(factors))
        return strengths @ _directions(scene.base_basis[factors, here], sae)

    # An analysed factor is compared with the one that it is now; a copy counts as added.
    current = drawn.analysed
    removed = [f for f in range(len(scene.base_basis)) if f not in current]
    removed = [f for f in removed if scene.base_basis[f, here].any()]
    base, basis = np.zeros_like(drawn.strengths), drawn.basis[:, here]
    base_basis = np.zeros_like(basis)
    for origin, f in current.items():
        base[..., f], base_basis[f] = scene.base_strengths[..., origin], scene.base_basis[origin, here]
    # Factors of another site have no weights here, neither before nor now.
    at_site = basis.any(axis=1) | base_basis.any(axis=1)
    basis, base_basis, base = basis[at_site], base_basis[at_site], base[..., at_site]
    moved, reweighted = drawn.strengths[..., at_site] - base, basis - base_basis
    gone = 1 - drawn.remainder if is_first else np.zeros_like(drawn.remainder)
    if not (moved.any() or reweighted.any() or gone.any() or removed):
        return None
    flat = (n_patches, len(basis))
    delta = tensor(moved).view(flat) @ _directions(basis, sae)
    if reweighted.any():
        delta = delta + tensor(base).view(flat) @ _directions(reweighted, sae)
    if removed:
        delta = delta - analysed(removed)
    fades = bool(gone.any())
    if fades:
        explained = analysed(list(range(len(scene.base_basis)))) + sae.b_dec
        fading = tensor(gone).view(-1, 1)

    def change(state: SiteState) -> Tensor:
        return delta - fading * (target(sae, state) - explained) if fades else delta

    return change
