"""An agent paints: the real command, driven by the official client over stdin and stdout."""

from __future__ import annotations

import asyncio
import base64
import io
import os
import sys
from pathlib import Path
from typing import Any

import numpy as np
from mcp import Client, StdioServerParameters
from PIL import Image

from ember_widgets import Painter, Scene
from ember_widgets.serve.server.tokens import Tokens
from tests.serving import running

REPOSITORY = Path(__file__).parents[2]
TOOLS = ["analyze", "palette", "paint", "move", "scale", "erase", "search_features", "render", "undo", "save"]
HOSTILE: list[tuple[str, dict[str, Any], str]] = [
    ("paint", {"factor": "lion", "where": "left"}, "choose 0..4 or one of"),
    ("paint", {"factor": 0, "where": "left", "strength": "NaN"}, "strength"),
    ("paint", {"factor": 0, "where": [[0, 0]] * 200_000 + [[99, 99]]}, "outside the grid"),
    ("analyze", {"prompt": "x" * 10_000_000}, "10,000 are the most"),
    ("analyze", {"prompt": "x", "n_factors": 10**12}, "n_factors"),
    ("save", {"path": "../x.png"}, "files are .json or .png"),
    ("load", {"path": "/etc/passwd"}, "files are .json or .png"),
    ("inspect", {"where": "left", "n": -1}, "n="),
    ("render", {"grid": "maybe"}, "bool"),
]


class Agent:
    """Calls tools, as an agent does."""

    def __init__(self, client: Client) -> None:
        self._client = client

    async def call(self, tool: str, **arguments: Any) -> tuple[str, Image.Image | None]:
        result = await self._client.call_tool(tool, arguments)
        texts = [block.text for block in result.content if block.type == "text"]
        pictures = [block.data for block in result.content if block.type == "image"]
        assert not result.is_error, texts
        assert result.structured_content is None
        return texts[0], Image.open(io.BytesIO(base64.b64decode(pictures[0]))) if pictures else None

    async def refused(self, tool: str, **arguments: Any) -> str:
        result = await self._client.call_tool(tool, arguments)
        assert result.is_error, tool
        assert result.content[0].type == "text"
        return result.content[0].text


def server(folder: Path, *more: str) -> StdioServerParameters:
    # A client gives a server little of its environment.
    env = {
        name: os.environ[name]
        for name in ("PATH", "HOME", "OMP_NUM_THREADS", "PYTHONPATH", "TMPDIR")
        if name in os.environ
    }
    command = [*("-m", "ember_widgets.cli.main", "mcp", "--folder", str(folder)), *more]
    return StdioServerParameters(command=sys.executable, args=command, env=env, cwd=REPOSITORY)


def test_an_agent_paints_a_picture_and_hostile_arguments_are_refused(
    tmp_path: Path, painter: Painter
) -> None:
    async def paint() -> None:
        async with Client(server(tmp_path, "--embedded")) as client:
            tools = {tool.name: tool for tool in (await client.list_tools()).tools}
            assert {
                "analyze",
                "palette",
                "paint",
                "move",
                "scale",
                "erase",
                "search_features",
            } <= tools.keys()
            assert {"render", "undo", "save"} <= tools.keys()
            assert all(tool.description for tool in tools.values())
            agent = Agent(client)
            assert "call analyze" in await agent.refused("palette")
            text, picture = await agent.call("analyze", prompt="a sun and a pine in the snow", seed=30)
            assert "pine: rows" in text
            assert picture is not None
            await agent.call("move", factor="pine", d_row=0, d_col=-6)
            assert "castle" in (await agent.call("search_features", text="castle"))[0]
            await agent.call("add_feature", feature="castle")
            text, small = await agent.call("paint", factor="castle", where="rows 6-12, cols 9-14")
            assert "Painted" in text
            assert small is not None
            for tool, arguments, says in HOSTILE:
                assert says in await agent.refused(tool, **arguments), tool
            _, painted = await agent.call("render")
            await agent.call("save", path="castle.png")
            assert painted is not None
            scene = Scene.load(tmp_path / "castle.png")
            assert scene.names[-1] == "castle"
            np.testing.assert_array_equal(np.asarray(painted), np.asarray(painter.render(scene)))
            await agent.call("undo")
            prompt = await client.get_prompt("paint", {"wish": "a lion"})
            assert "a lion" in str(prompt.messages[0].content)

    asyncio.run(paint())
    assert [path.name for path in tmp_path.iterdir()] == ["castle.png"]


def test_an_agent_paints_on_a_model_elsewhere(tmp_path: Path, painter: Painter) -> None:
    token = tmp_path / "token.txt"
    token.write_text(f"# of the agent\nagent {'a' * 20}\n")
    pictures = tmp_path / "pictures"
    pictures.mkdir()

    async def paint(url: str) -> None:
        async with Client(server(pictures, "--url", url, "--token-file", str(token))) as client:
            agent = Agent(client)
            await agent.call("analyze", prompt="a sun and a pine in the snow", seed=30)
            await agent.call("move", factor="pine", d_row=0, d_col=-6)
            await agent.call("save", path="moved.png")
        async with Client(server(pictures, "--url", url)) as client:
            assert "token" in await Agent(client).refused("analyze", prompt="x")

    with running(painter, tokens=Tokens.load(token)) as url:
        asyncio.run(paint(url))
    expected = painter.analyze("a sun and a pine in the snow", seed=30).move("pine", 0, -6)
    assert Scene.load(pictures / "moved.png") == expected
