"""What a server serves, and with how many replicas."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ember_widgets.serve.server.limits import Limits
from ember_widgets.util import checks

if TYPE_CHECKING:
    from ember_widgets.painter.painter import Painter

EMBEDDED = "embedded"
CANNOT_PAINT = "this server cannot paint: "
"""What the error of a painter that cannot be loaded begins with; its own line follows."""


@dataclass(frozen=True)
class ServeOptions:
    """What a server serves, and with how many replicas.

    Every field may stand in the `args` of a file for `serve run`; see docs/serve.yaml.

    Args:
        model: "embedded", or the hub id, folder or file of a model, see `Painter.from_pretrained`.
        sae: Hub id, folder or file of its SAE; None for the embedded model, which has its own.
        site: Sites of the SAEs; () = what the SAE's file says.
        device, dtype, vae, preview_vae, revision, variant, cache_dir, local_files_only: See
            `Painter.from_pretrained`.
        labels: File, folder or hub id of labels; None = those that came with the model.
        concepts: File of concepts, see `ConceptBank.load`, or None.
        gallery: Folder where pictures that people share are kept; None = there is no gallery.
        token_file: File of tokens, see `Tokens.load`.
        without_tokens: Whoever reaches the address may paint. Only for an address of this machine alone.
        replicas: Processes that paint, each with a model of its own.
        min_replicas, max_replicas: Instead of `replicas`: as many as the clients need, within these limits.
        gpus_per_replica: GPUs of a replica, such as 1 or 0.5; None = 1 if there is a GPU, else 0.
        cpus_per_replica: CPU cores that Ray reserves for a replica; None = an equal share of this machine's.
        threads: Threads a replica computes with; None = all cores if there is one replica, else
            its share. Pictures are equal bit by bit only to those of a painter with as many threads.
        starts_memory: Bytes that the starts of runs may take in a replica, on its device. 2**30 is room for
            about 900 starts of the embedded model in bfloat16, 450 in float32.
        limits: Fields of `Limits` that differ from the usual ones.
    """

    model: str = EMBEDDED
    sae: str | None = None
    site: tuple[str, ...] = ()
    device: str | None = None
    dtype: str = "auto"
    vae: str | None = None
    preview_vae: str | None = None
    revision: str | None = None
    variant: str | None = "auto"
    cache_dir: str | None = None
    local_files_only: bool = False
    labels: str | None = None
    concepts: str | None = None
    gallery: str | None = None
    token_file: str | None = None
    without_tokens: bool = False
    replicas: int = 1
    min_replicas: int | None = None
    max_replicas: int | None = None
    gpus_per_replica: float | None = None
    cpus_per_replica: float | None = None
    threads: int | None = None
    starts_memory: int = 2**30
    limits: Mapping[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self._check_model()
        self._check_numbers()
        if not self.token_file and not self.without_tokens:
            raise ValueError(
                "there are no tokens, so everybody who reaches the server could use it; give token_file, or "
                "without_tokens: true if only this machine reaches it (http_options: host: 127.0.0.1)"
            )
        for name in ("concepts", "token_file"):
            path = getattr(self, name)
            if path and not Path(path).is_file():
                raise FileNotFoundError(f"{name}: there is no file {path}")

    @classmethod
    def from_args(cls, args: Mapping[str, Any]) -> ServeOptions:
        """From the `args` of a file for `serve run`.

        Raises:
            TypeError: An argument is unknown, or of a wrong type.
            ValueError, FileNotFoundError: The options do not fit together, or a file is missing.
        """
        known = {one.name for one in dataclasses.fields(cls)}
        if unknown := sorted(set(args) - known):
            raise TypeError(f"unknown args {', '.join(unknown)}; known are {', '.join(sorted(known))}")
        site = args.get("site") or ()
        sites = [site] if isinstance(site, str) else checks.listed("site", site, hint="give a list of sites")
        return cls(**{**args, "site": tuple(sites)})

    @property
    def fewest_replicas(self) -> int:
        """How many replicas there always are."""
        return self.min_replicas or self.replicas

    @property
    def most_replicas(self) -> int:
        """How many replicas there can be at once."""
        return self.max_replicas or self.replicas

    @property
    def is_on_cpu(self) -> bool:
        """Whether the model runs on the CPU, whatever else there is."""
        return self.model == EMBEDDED or self.device == "cpu"

    @property
    def all_limits(self) -> Limits:
        """The limits, with those that are given."""
        return Limits(**self.limits)

    def _check_model(self) -> None:
        if self.model == EMBEDDED:
            for name in ("sae", "labels", "vae", "preview_vae"):
                if getattr(self, name):
                    raise ValueError(f"the embedded model has its own; leave out {name}")
        elif not self.sae:
            raise ValueError(
                f"model {self.model!r} needs an SAE; give the hub id, folder or file of one as sae"
            )

    def _check_numbers(self) -> None:
        for name in ("replicas", "min_replicas", "max_replicas", "threads"):
            if (value := getattr(self, name)) is not None:
                checks.count(name, value, hint=f"it counts {name.split('_')[-1]}")
        low, high = self.min_replicas, self.max_replicas
        if (low is None) != (high is None):
            raise ValueError("give min_replicas and max_replicas together, or neither")
        if low is not None and high is not None:
            if low > high:
                raise ValueError(
                    f"min_replicas={low}, max_replicas={high}; give not fewer at most than at least"
                )
            if self.replicas != 1:
                raise ValueError(
                    f"replicas={self.replicas} has no effect beside min_replicas and max_replicas; leave out "
                    "one or the other"
                )
        hint = "give a whole number, or a share from 0 to 1"
        for name in ("gpus_per_replica", "cpus_per_replica"):
            if (value := getattr(self, name)) is None:
                continue
            value = checks.number(name, value, hint=hint)
            # Ray shares a GPU between processes, but gives none a GPU and a half.
            if value < 0 or (value > 1 and value != int(value)):
                raise ValueError(f"{name}={value:g}; {hint}")
        if self.gpus_per_replica and self.is_on_cpu:
            raise ValueError(
                f"gpus_per_replica={self.gpus_per_replica:g}, but this model runs on the CPU; leave it out"
            )
        checks.integer("starts_memory", self.starts_memory, 0, 2**63 - 1, hint="it is a number of bytes")
        for name in ("without_tokens", "local_files_only"):
            # A text such as "no" would count as yes.
            if not isinstance(value := getattr(self, name), bool):
                raise TypeError(f"{name}={checks.shown(value)}; give true or false")
        if not isinstance(self.limits, Mapping):
            raise TypeError(f"limits={checks.shown(self.limits)} is not a mapping; give {{name: number}}")
        if unknown := sorted(set(self.limits) - {one.name for one in dataclasses.fields(Limits)}):
            raise ValueError(f"unknown limits {', '.join(unknown)}; see docs/serving.md")
        Limits(**self.limits)


def load_painter(options: ServeOptions) -> Painter:
    """Load the painter that is served.

    Raises:
        OSError, ValueError, TypeError, ImportError, MemoryError: See `Painter.from_pretrained`.
    """
    from ember_widgets.features.concepts import ConceptBank
    from ember_widgets.painter.painter import Painter

    if options.model == EMBEDDED:
        painter = Painter.embedded(sites=options.site or "down.2.1", dtype=options.dtype)
    else:
        sae: Any = options.sae
        several = len(options.site) > 1
        painter = Painter.from_pretrained(
            options.model,
            sae=dict.fromkeys(options.site, sae) if several else sae,
            site=options.site[0] if len(options.site) == 1 else None,
            device=options.device,
            dtype=options.dtype,
            vae=options.vae,
            preview_vae=options.preview_vae,
            revision=options.revision,
            variant=options.variant,
            cache_dir=options.cache_dir,
            local_files_only=options.local_files_only,
            labels=options.labels,
        )
    painter.model.starts.memory = options.starts_memory
    if options.concepts:
        painter.concepts = ConceptBank.load(options.concepts)
    return painter
