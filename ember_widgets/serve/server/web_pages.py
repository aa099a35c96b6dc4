"""The pages of a server, for people with a browser: how to begin, the gallery, the description of the calls.

They load nothing from elsewhere. A token stands in the address after #, which browsers do not send; the pages
put it into the header of what they fetch.
"""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import Any

from fastapi import APIRouter, Depends, HTTPException, Response

from ember_widgets.serve.server.gallery import Gallery, may_remove
from ember_widgets.serve.server.person import Person
from ember_widgets.serve.server.replica import Replica

FOLDER = Path(__file__).parent / "pages"
TYPES = {".html": "text/html", ".css": "text/css", ".js": "text/javascript", ".svg": "image/svg+xml"}
PAGES = {"/": "join.html", "/gallery": "gallery.html", "/docs": "docs.html"}
PARTS = ("icon.svg", "page.css", "page.js", "join.js", "gallery.js", "docs.js")
HEADERS = {
    "Content-Security-Policy": (
        "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' blob:; connect-src 'self'; "
        "base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
    ),
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cache-Control": "no-cache",
}
NO_GALLERY = "this server has no gallery; start it with --gallery FOLDER"


def routes(replica: Replica) -> APIRouter:
    """The pages, and the gallery's pictures."""
    router = APIRouter()
    contents = {name: (FOLDER / name).read_bytes() for name in (*PAGES.values(), *PARTS)}

    def gallery() -> Gallery:
        if not isinstance(replica.gallery, Gallery):
            raise HTTPException(404, NO_GALLERY)
        return replica.gallery

    def page(name: str) -> Any:
        media = TYPES[Path(name).suffix]

        def send() -> Response:
            return Response(contents[name], media_type=media, headers=HEADERS)

        return send

    for path, name in PAGES.items():
        router.add_api_route(path, page(name), include_in_schema=False)
    for name in PARTS:
        router.add_api_route(f"/pages/{name}", page(name), include_in_schema=False)

    @router.get("/v1/gallery", tags=["gallery"])
    def shown(who: Person, found: Gallery = Depends(gallery)) -> dict[str, Any]:  # noqa: B008
        """The pictures that people shared, the newest first."""
        has_tokens = replica.tokens.required
        entries = [
            asdict(one) | {"can_remove": may_remove(one, who, has_tokens=has_tokens)}
            for one in found.entries()
        ]
        return {"you": who, "pictures": entries}

    @router.get("/v1/gallery/{id}.png", tags=["gallery"], response_class=Response)
    def picture(id: str, who: Person, found: Gallery = Depends(gallery)) -> Response:  # noqa: B008
        """A picture, with its scene inside: Scene.load opens it."""
        data = found.picture(id)
        if data is None:
            raise HTTPException(404, "there is no such picture; GET /v1/gallery lists them")
        headers = {"Cache-Control": "private, max-age=86400", "X-Content-Type-Options": "nosniff"}
        return Response(data, media_type="image/png", headers=headers)

    @router.delete("/v1/gallery/{id}", tags=["gallery"], status_code=204)
    def remove(id: str, who: Person, found: Gallery = Depends(gallery)) -> None:  # noqa: B008
        """Remove a picture of your own; whoever is called "teacher" removes any."""
        if not found.remove(id, who, has_tokens=replica.tokens.required):
            raise HTTPException(404, "there is no such picture; GET /v1/gallery lists them")

    return router
