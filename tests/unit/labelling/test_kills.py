"""A labelling run that is killed twice and goes on: nothing is lost, and nothing is paid for twice."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from tests.unit.labelling.bench import Request, Sent, Server, journal, labelled, right, serving

IN_FLIGHT = 4
N = 30
RUN = """
import sys
from pathlib import Path
from tests.unit.labelling.bench import Server, labelled, right
server = Server(sys.argv[1], right)
labelled(range({n}), server, Path(sys.argv[2]), client=server.client(in_flight={in_flight}))
"""


def killed_after(n_requests: int, server: Server, folder: Path) -> set[str]:
    """Run in another process, kill it when so many requests came in, and return what the journal holds."""
    code = RUN.format(n=N, in_flight=IN_FLIGHT)
    process = subprocess.Popen(
        [sys.executable, "-c", code, server.url, str(folder)], cwd=Path(__file__).parents[3]
    )
    last = len(server.requests) + n_requests

    def answer(request: Request) -> Sent:
        if len(server.requests) >= last:
            process.kill()
        return right(request)

    server.answer = answer
    assert process.wait(60) < 0, "it ended before it was killed"
    while server.n_open:
        pass
    return {line["id"] for line in journal(folder)}


def test_two_kills_lose_at_most_the_open_calls(tmp_path: Path) -> None:
    with serving() as server:
        first = killed_after(25, server, tmp_path)
        n_first = len(server.requests)
        second = killed_after(30, server, tmp_path)
        n_second = len(server.requests)
        server.answer = right
        run = labelled(range(N), server, tmp_path)

    assert set(run.labels) == set(range(N))
    assert all(run.labels.entry(feature).scores for feature in range(N))
    # Each kill lost the calls that were open, and no other.
    assert n_first - IN_FLIGHT <= len(first) <= n_first
    assert n_second - 2 * IN_FLIGHT <= len(second) <= n_second
    # No call that was in the journal was made again.
    assert not first & {request.key for request in server.requests[n_first:]}
    assert not second & {request.key for request in server.requests[n_second:]}
    assert len(server.requests) <= 3 * N + 2 * IN_FLIGHT
    assert len(journal(tmp_path)) == len(server.keys) == 3 * N
