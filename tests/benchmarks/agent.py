"""An agent's session, as text: `python -m tests.benchmarks.agent [folder for pictures]`.

The real command, driven by the official client through a fixed script. Prints each call of a tool and what
came back, as Markdown for docs/agents.md, and how long each took.
"""

from __future__ import annotations

import asyncio
import base64
import json
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from mcp import Client, StdioServerParameters

CALLS: list[tuple[str, dict[str, Any]]] = [
    ("analyze", {"prompt": "a sun and a pine in the snow", "seed": 13}),
    ("render", {"grid": True}),
    ("move", {"factor": "pine", "d_row": 0, "d_col": -6}),
    ("search_features", {"text": "castle"}),
    ("add_feature", {"feature": "castle"}),
    ("paint", {"factor": "castle", "where": "rows 6-12, cols 9-14"}),
    ("paint", {"factor": "castle", "where": "top right"}),
    ("erase", {"where": "rows 0-6, cols 0-6", "factor": "sun"}),
    ("undo", {}),
    ("scale", {"factor": "sun", "gain": 1.4}),
    ("restyle", {"style": "pixel art"}),
    ("undo", {}),
    ("save", {"path": "castle.png"}),
]


async def main() -> None:
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(sys.argv[1] if len(sys.argv) > 1 else scratch)
        command = ["-m", "ember_widgets.cli.main", "mcp", "--embedded", "--folder", str(folder)]
        async with Client(StdioServerParameters(command=sys.executable, args=command)) as client:
            for n, (tool, arguments) in enumerate(CALLS):
                began = time.perf_counter()
                result = await client.call_tool(tool, arguments)
                ms = 1000 * (time.perf_counter() - began)
                print(f"**{tool}** `{json.dumps(arguments)}` ({ms:.0f} ms)\n")
                for block in result.content:
                    if block.type == "text":
                        for line in block.text.replace(str(folder), "pictures").splitlines():
                            print(f"> {line}  ")
                    elif block.type == "image":
                        print("> *a picture*")
                        (folder / f"{n:02}-{tool}.png").write_bytes(base64.b64decode(block.data))
                print()


if __name__ == "__main__":
    asyncio.run(main())
