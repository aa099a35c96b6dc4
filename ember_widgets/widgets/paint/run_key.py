"""A text that says which run of the model a scene belongs to."""

from __future__ import annotations

import hashlib

import numpy as np

from ember_widgets.scene.scene import Scene


def run_key(scene: Scene, version: object) -> str:
    """Equal for two scenes if and only if their unedited pictures are the same.

    In it are prompt, style, seed, steps, guidance, and the photograph with its strength if there is one.
    Scenes of different models are never compared: a painter draws only its own.

    Args:
        scene: the scene.
        version: the painter's, see `version_of`; it takes time to find out.
    """
    parts: tuple[object, ...] = (scene.prompt, scene.style, scene.seed, scene.n_steps, scene.guidance)
    parts = (*parts, version)
    digest = hashlib.sha256(repr(parts).encode())
    if scene.image is not None:
        digest.update(repr((scene.image.shape, scene.image_strength)).encode())
        digest.update(scene.image.tobytes())
    return digest.hexdigest()[:16]


def is_same_picture(one: Scene, other: Scene) -> bool:
    """Whether two scenes were made from one picture, or of the same factors, so that a picked factor stays.

    Edits, another style, another seed (see `Painter.reseed`) and another number of factors leave it so.
    """
    if len(one.base_basis) and np.array_equal(one.base_basis, other.base_basis):
        return True
    return run_key(one.replace(style=""), None) == run_key(other.replace(style=""), None)
