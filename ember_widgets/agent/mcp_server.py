"""The tools with which an agent paints, over the Model Context Protocol (https://modelcontextprotocol.io)."""

from __future__ import annotations

import asyncio
import io
import logging
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import Annotated, Any, Literal

from mcp.server.mcpserver import Image, MCPServer
from mcp.server.mcpserver.exceptions import ToolError
from pydantic import Field

from ember_widgets._version import __version__
from ember_widgets.agent.canvas import Answer, Canvas
from ember_widgets.painter.protocol import N_FACTORS

_log = logging.getLogger(__name__)

INSTRUCTIONS = """\
You paint with the inside of an image model. A picture is taken apart into a few factors, such as "pine",
"snow" and "sky". A factor has a strength in each patch of a grid; change strengths, and the model draws the
picture again. Work like this: analyze a prompt, read the palette, render with grid=true to see the
coordinates, make one edit at a time and look at the small picture that comes back, undo what did not help.
Things look whole when you paint areas of about their natural size, and move keeps a thing's shape. If a thing
is missing, search its feature by a word, add it, and paint with it."""

PAINT_PROMPT = """\
Paint this with the ember_widgets tools: {wish}

1. analyze a short prompt that has the main things and the setting. Try another seed if it is not close.
2. palette, and render with grid=true: know where everything is.
3. One edit at a time: move, paint, erase, scale. Look at each picture. undo what does not help.
4. What is missing: search_features, add_feature, paint.
5. restyle if a look was asked for. At the end render, and save."""

FACTOR = "number or name of a factor, see palette"
WHERE = (
    'the name of an area ("everything", "floor", "centre", "left", "right"); boxes such as '
    '"rows 2-6, cols 3-9", several with ";" between them; or patches, [[row, col], ...]. '
    "Rows and columns count from 0, from the top left."
)

Factor = Annotated[int | str, Field(description=FACTOR)]
Place = Annotated[str | list[list[int]], Field(description=WHERE)]
MaybePlace = Annotated[str | list[list[int]] | None, Field(description=f"{WHERE} Left out: everywhere.")]


def make_server(canvas: Canvas) -> MCPServer:
    """The server with all tools; `run("stdio")` serves it.

    Args:
        canvas: What the tools paint on.
    """
    server: MCPServer = MCPServer(
        "ember-widgets",
        title="Paint with ember_widgets",
        instructions=INSTRUCTIONS,
        version=__version__,
        log_level="WARNING",
    )

    # One thread: where several compute on the CPU, OpenMP lets the cores wait much longer for each other.
    worker = ThreadPoolExecutor(1, "ember-agent")

    async def answered(call: Callable[[], Answer]) -> list[Any]:
        """What a verb answers, as content of the protocol. It runs in a thread, since drawing takes time."""
        try:
            answer = await asyncio.get_running_loop().run_in_executor(worker, call)
        except (TypeError, ValueError, OSError, ArithmeticError, MemoryError, ImportError) as fault:
            raise ToolError(str(fault) or type(fault).__name__) from None
        except Exception as fault:
            _log.exception("a tool failed")
            raise ToolError(
                f"the painter failed ({type(fault).__name__}); its log on stderr says more"
            ) from None
        if answer.picture is None:
            return [answer.text]
        stream = io.BytesIO()
        answer.picture.save(stream, "PNG")
        return [answer.text, Image(data=stream.getvalue(), format="png")]

    tool = partial(server.tool, structured_output=False)

    @tool(title="Generate a picture and find its factors")
    async def analyze(
        prompt: Annotated[str, Field(description="what to generate, e.g. 'a sun and a pine in the snow'")],
        seed: Annotated[int, Field(description="another seed gives another composition")] = 0,
        n_factors: Annotated[int, Field(description="3 to 8 read best")] = N_FACTORS,
        n_steps: Annotated[int, Field(description="denoising steps, 1 to 4")] = 1,
        style: Annotated[str, Field(description="how it looks, not where things are; may be empty")] = "",
    ) -> list[Any]:
        """Generate a picture and take it apart into factors. Gives the palette and the picture."""
        return await answered(lambda: canvas.analyze(prompt, seed, n_factors, n_steps, style))

    @tool(title="List the factors")
    async def palette() -> list[Any]:
        """List the factors: number, name, where they are, and the features that they are made of."""
        return await answered(canvas.palette)

    @tool(title="Look at the picture")
    async def render(
        grid: Annotated[
            bool, Field(description="draw the grid with the numbers of rows and columns")
        ] = False,
    ) -> list[Any]:
        """Draw the scene as painted so far."""
        return await answered(lambda: canvas.render(grid))

    @tool(title="Paint a factor onto a place")
    async def paint(
        factor: Factor,
        where: Place,
        strength: Annotated[float, Field(description="1 = as strong as the model makes it")] = 1.0,
        opacity: Annotated[float, Field(description="0..1, how much of the stroke counts")] = 1.0,
        mode: Annotated[
            Literal["over", "add"], Field(description='"over" covers what is there, "add" leaves it')
        ] = "over",
    ) -> list[Any]:
        """Paint a factor onto a place. Gives a small picture of the result."""
        return await answered(lambda: canvas.paint(factor, where, strength, opacity, mode))

    @tool(title="Move a factor, or a part of the picture")
    async def move(
        d_row: Annotated[int, Field(description="rows down; negative is up")],
        d_col: Annotated[int, Field(description="columns to the right; negative is left")],
        factor: Annotated[int | str | None, Field(description=f"{FACTOR}; left out: all factors")] = None,
        where: Annotated[
            str | list[list[int]] | None, Field(description=f"{WHERE} Left out: where the factor is.")
        ] = None,
    ) -> list[Any]:
        """Move a factor to another place, or everything that is in a place. The gap is filled."""
        return await answered(lambda: canvas.move(d_row, d_col, factor, where))

    @tool(title="Make a factor stronger or weaker")
    async def scale(
        factor: Factor,
        gain: Annotated[float, Field(description="0 = gone, 1 = as it is, 2 = twice as strong")],
        where: MaybePlace = None,
    ) -> list[Any]:
        """Multiply a factor's strength, everywhere or in a place."""
        return await answered(lambda: canvas.scale(factor, gain, where))

    @tool(title="Erase a place")
    async def erase(
        where: Place,
        factor: Annotated[int | str | None, Field(description=f"{FACTOR}; left out: everything")] = None,
        heal: Annotated[bool, Field(description="fill the place with the background")] = True,
    ) -> list[Any]:
        """Take everything, or one factor, out of a place."""
        return await answered(lambda: canvas.erase(where, factor, heal))

    @tool(title="Search features by their labels")
    async def search_features(
        text: Annotated[str, Field(description="a word, e.g. 'castle' or 'mouth open'")],
        n: Annotated[int, Field(description="how many at most")] = 12,
    ) -> list[Any]:
        """Find features of the model by a word of their labels."""
        return await answered(lambda: canvas.search_features(text, n))

    @tool(title="Add a feature to the palette")
    async def add_feature(
        feature: Annotated[int | str, Field(description="number of a feature, or a word of its label")],
        name: Annotated[str, Field(description="name of the new factor; left out: the label")] = "",
    ) -> list[Any]:
        """Add a factor made of one feature. It is nowhere yet: paint with it."""
        return await answered(lambda: canvas.add_feature(feature, name))

    @tool(title="Change what a factor is made of")
    async def set_weight(
        factor: Factor,
        feature: Annotated[int | str, Field(description="number of a feature, or a word of its label")],
        weight: Annotated[float, Field(description="1 = the feature's typical activation, 0 = none of it")],
    ) -> list[Any]:
        """Set how much of a feature is in a factor; it changes wherever the factor is."""
        return await answered(lambda: canvas.set_weight(factor, feature, weight))

    @tool(title="Change the style")
    async def restyle(
        style: Annotated[str, Field(description="e.g. 'pixel art'; empty = none")],
    ) -> list[Any]:
        """Change how things look, and not where they are."""
        return await answered(lambda: canvas.restyle(style))

    @tool(title="Inspect a place")
    async def inspect(
        where: Place, n: Annotated[int, Field(description="how many features at most")] = 8
    ) -> list[Any]:
        """List the features that are active in a place, the strongest first."""
        return await answered(lambda: canvas.inspect(where, n))

    @tool(title="Undo")
    async def undo() -> list[Any]:
        """Go one step back."""
        return await answered(canvas.undo)

    @tool(title="Redo")
    async def redo() -> list[Any]:
        """Go one step forward again."""
        return await answered(canvas.redo)

    @tool(title="Save")
    async def save(
        path: Annotated[str, Field(description="name.png (picture with the scene inside) or name.json")],
    ) -> list[Any]:
        """Save the picture with its scene, or the scene alone, into the server's folder.

        A scene that was saved under this name is replaced; another file is not.
        """
        return await answered(lambda: canvas.save(path))

    @tool(title="Load")
    async def load(path: Annotated[str, Field(description="a file that was saved")]) -> list[Any]:
        """Go on with a scene that was saved."""
        return await answered(lambda: canvas.load(path))

    @server.prompt(name="paint", title="Paint a picture")
    def paint_prompt(wish: Annotated[str, Field(description="what to paint")]) -> str:
        """How to go about painting a picture with these tools."""
        return PAINT_PROMPT.format(wish=wish[:1000])

    return server
