"""Plain HTTP calls, for people who script: analyze, render, inspect."""

from __future__ import annotations

import asyncio
import json
from collections import Counter, OrderedDict
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any, Literal, TypeVar, get_args

import numpy as np
from fastapi import APIRouter, Depends, HTTPException, Response
from fastapi import Request as HTTPRequest
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field

from ember_widgets.painter.protocol import N_FACTORS, labels_of
from ember_widgets.scene import site_names
from ember_widgets.scene.scene import Scene
from ember_widgets.serve.server.access import account_of
from ember_widgets.serve.server.call_table import (
    HANDLERS,
    Answer,
    Failure,
    Request,
    check_fields,
    checked_site,
    failure,
)
from ember_widgets.serve.server.person import address_of, person_of_request
from ember_widgets.serve.server.replica import Replica
from ember_widgets.serve.server.session import Bucket
from ember_widgets.serve.wire import values
from ember_widgets.util import checks

T = TypeVar("T")
Form = Literal["png", "webp", "jpeg"]
STATUS = {"Busy": 429, "PermissionError": 403, "RuntimeError": 500, "MemoryError": 503, "Cancelled": 503}
MOST_BUCKETS = 1000
POLL_S = 0.25
"""How often a call that waits looks whether its client is still there."""
BUSY_S = 1
"""When to ask again after too many calls at once."""
SCENE = "a scene as `analyze` gives it, or as Scene.save writes it: a JSON object"


class Body(BaseModel):
    """What a call is given; an unknown name is refused."""

    model_config = ConfigDict(extra="forbid")


class ConceptsBody(Body):
    """Concepts, as a `ConceptBank` has them: what a picture is taken apart in."""

    site: str = Field(description="module path or short name of the site")
    sae: str = Field(description="which SAE the features are of, as in a scene's model")
    names: list[str] = Field(description="a name per concept, all different")
    basis: list[dict[int, float]] = Field(
        description="per concept {feature of the site: its code at strength 1.0}, codes above 0"
    )


class AnalyzeBody(Body):
    """What to generate."""

    prompt: str = Field("", description="what to generate; may be empty")
    seed: int = Field(0, description="seed of the noise, 0..2**63-1")
    n_steps: int = Field(1, description="denoising steps, from 1 to the limit in GET /v1/models")
    n_factors: int | None = Field(
        None,
        description=f"how many factors, from 1 on; 3 to 8 read best; left out: {N_FACTORS}, "
        "or with a basis all of its concepts that can be seen",
    )
    basis: ConceptsBody | None = Field(
        None,
        description="concepts to take the picture apart in: {site, sae, names, basis}, where basis is, "
        "per concept, {feature of the site: its code at strength 1.0}; left out: factors of its own",
    )
    style: str = Field("", description="how things look, not where they are; may be empty")
    guidance: float | None = Field(None, description="scale of guidance; left out: the painter's own")


class RenderBody(Body):
    """What to draw."""

    scene: dict[str, Any] = Field(description=SCENE)
    form: Form = Field("png", description="png is lossless")
    preview: bool = Field(False, description="as fast as possible; colours may be a little off")
    with_scene: bool = Field(False, description="put the scene into the PNG, so that Scene.load opens it")


class InspectBody(Body):
    """Where to look."""

    scene: dict[str, Any] = Field(description=SCENE)
    step: int = Field(0, description="sampling step, 0..n_steps-1")
    site: str | None = Field(None, description="module path or short name; left out: the first site steered")
    edited: bool = Field(True, description="the run with the scene's edits; false = the unedited run")
    patches: list[tuple[int, int]] | None = Field(None, description="[row, col] of patches; left out: all")
    top: int = Field(5, ge=1, le=100, description="how many features of each patch")


@dataclass(frozen=True)
class Caller:
    """Who sends a call.

    Args:
        owner: Whose calls take turns with those of others.
        request: The call.
    """

    owner: str
    request: HTTPRequest


def routes(replica: Replica) -> APIRouter:
    """The calls of a replica's painter."""
    router = APIRouter(prefix="/v1", tags=["painter"])
    buckets: OrderedDict[str, Bucket] = OrderedDict()
    n_open: Counter[str] = Counter()

    # In the event loop, not in threads: calls that come at once count in the same bucket.
    async def asks(request: HTTPRequest) -> Caller:
        """Who asks; refuses a wrong token, and whoever asks too often."""
        person_of_request(request)
        account = account_of(replica.tokens, request.headers, address_of(request))
        bucket = buckets.pop(account, None) or Bucket(replica.limits.requests_per_s)
        buckets[account] = bucket
        while len(buckets) > MOST_BUCKETS:
            buckets.popitem(last=False)
        if wait_s := bucket.take():
            message = f"more than {replica.limits.requests_per_s:g} calls per second; wait {wait_s:.2f} s"
            raise HTTPException(429, message, {"Retry-After": str(max(1, round(wait_s)))})
        return Caller(f"http {account}", request)

    async def done(caller: Caller, work: Callable[[Callable[[], bool]], T]) -> T:
        """Do something when it is the caller's turn, as the calls of sessions are done."""
        owner = caller.owner
        if n_open[owner] >= replica.limits.waiting:
            message = f"{n_open[owner]} of your calls wait, which is the most; wait for their answers"
            raise HTTPException(429, message, {"Retry-After": str(BUSY_S)})
        n_open[owner] += 1
        future = replica.scheduler.submit(owner, work)
        try:
            answer = asyncio.wrap_future(future)
            while not answer.done():
                await asyncio.wait([answer], timeout=POLL_S)
                if not answer.done() and await caller.request.is_disconnected():
                    replica.scheduler.cancel(future)
            return await answer
        except Exception as fault:
            raise refused(failure(fault), fault) from fault
        finally:
            replica.scheduler.cancel(future)  # if the server ends meanwhile
            n_open[owner] -= 1
            if not n_open[owner]:
                del n_open[owner]

    async def encoded(work: Callable[[], T]) -> T:
        return await asyncio.get_running_loop().run_in_executor(replica.encoders, work)

    def scene_of(content: dict[str, Any]) -> Scene:
        check_fields(content, replica.limits)
        return Scene.from_bytes(json.dumps(content).encode())

    @router.post("/analyze", response_class=Response, responses=JSON_SCENE)
    async def analyze(body: AnalyzeBody, caller: Caller = Depends(asks)) -> Response:  # noqa: B008
        """Generate a picture and find its factors. Gives the scene, as Scene.load reads it from a file."""
        args, basis = body.model_dump(exclude_none=True, exclude={"basis"}), body.basis

        def work(cancelled: Callable[[], bool]) -> Answer:
            # Others may have put so many arrays meanwhile that the basis was forgotten.
            if basis is not None and replica.arrays.get(args["basis"]["basis"]) is None:
                replica.arrays.put(rows_of(replica, basis))
            return HANDLERS["analyze"](Request(replica, "analyze", args, (), cancelled))

        try:
            if basis is not None:
                args["basis"] = await encoded(partial(named_concepts, replica, basis))
            Request(replica, "analyze", args).check()
        except Exception as fault:
            raise refused(failure(fault), fault) from fault
        answer = await done(caller, work)
        return Response(await encoded(answer.result.to_bytes), media_type="application/json")

    @router.post("/render", response_class=Response, responses=PICTURE)
    async def render(body: RenderBody, caller: Caller = Depends(asks)) -> Response:  # noqa: B008
        """Draw a scene."""
        if body.with_scene and body.form != "png":
            raise HTTPException(400, "with_scene needs form png")

        def work(cancelled: Callable[[], bool]) -> tuple[Scene, Any]:
            scene = scene_of(body.scene)
            preview = body.preview and replica.painter.previews(scene)
            return scene, replica.painter.render(scene, preview=preview, cancelled=cancelled)

        scene, picture = await done(caller, work)
        data = await encoded(
            lambda: scene.to_bytes(picture) if body.with_scene else values.encoded(picture, body.form)
        )
        return Response(data, media_type=f"image/{body.form}")

    @router.post("/inspect")
    async def inspect(body: InspectBody, caller: Caller = Depends(asks)) -> dict[str, Any]:  # noqa: B008
        """The features that are active in each patch, the strongest first, and how much they explain."""

        def work(cancelled: Callable[[], bool]) -> dict[str, Any]:
            scene, site = scene_of(body.scene), checked_site(replica, body.site)
            found = replica.painter.inspect(scene, step=body.step, site=site, edited=body.edited)
            rows, cols = found.grid.shape
            every = [(row, col) for row in range(rows) for col in range(cols)]
            where = every if body.patches is None else body.patches
            labels, counts = labels_of(replica.painter), found.counts
            patches = []
            for row, col in where[: rows * cols]:
                top = found.top([(row, col)], body.top)
                patches.append(
                    {
                        "row": row,
                        "col": col,
                        "n_active": int(counts[row, col]),
                        "features": [
                            {
                                "feature": found.begin + feature,
                                "activation": round(activation, 6),
                                "label": labels.get(found.begin + feature, ""),
                            }
                            for feature, activation in top.items()
                        ],
                    }
                )
            explained = found.explained()
            return {
                "site": found.site,
                "step": found.step,
                "grid": [rows, cols],
                "explained": None if explained != explained else round(explained, 6),
                "patches": patches,
            }

        return await done(caller, work)

    return router


def named_concepts(replica: Replica, body: ConceptsBody) -> dict[str, Any]:
    """Concepts as the calls of sessions have them: the basis is one of the replica's arrays, by its name."""
    rows = rows_of(replica, body)
    site = site_names.full(body.site)
    return {"site": site, "sae": body.sae, "names": body.names, "basis": replica.arrays.put(rows)}


def rows_of(replica: Replica, body: ConceptsBody) -> NDArray[np.float32]:
    """The basis of concepts, (n, n_features) float32.

    Raises:
        ValueError: More concepts than the server allows, not a row for each name, or no such site or feature.
    """
    n, most = len(body.basis), replica.limits.n_factors
    if n > most:
        raise ValueError(f"the number of concepts is {n}; this server takes up to {most}")
    if n != len(body.names):
        raise ValueError(f"basis has {checks.plural(n, 'row')}, but there are {len(body.names)} names")
    checked_site(replica, body.site)
    n_features = replica.painter.saes[site_names.full(body.site)].n_features
    rows, hint = np.zeros((n, n_features), np.float32), "give the feature's code at strength 1.0"
    for row, codes in zip(rows, body.basis, strict=True):
        for feature, code in codes.items():
            row[checks.feature_index(feature, n_features)] = checks.number("a code", code, hint=hint)
    rows.flags.writeable = False
    return rows


def refused(why: Failure | None, fault: BaseException) -> HTTPException:
    """A failure as an answer of HTTP; an unknown fault is one of the server's."""
    if why is None:
        raise fault
    headers = None if why.retry_after_s is None else {"Retry-After": str(max(1, round(why.retry_after_s)))}
    return HTTPException(STATUS.get(why.error, 400), why.message, headers)


JSON_SCENE: dict[int | str, dict[str, Any]] = {
    200: {"content": {"application/json": {"schema": {"type": "object"}}}, "description": "the scene"}
}
PICTURE: dict[int | str, dict[str, Any]] = {
    200: {
        "content": {
            f"image/{form}": {"schema": {"type": "string", "format": "binary"}} for form in get_args(Form)
        },
        "description": "the picture",
    }
}
