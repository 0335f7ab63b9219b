"""Runs inside a sandbox, by the base image's interpreter: byte-compiles the Python files below the directories of
its arguments and serves the result as a tar stream. What can't be compiled is left out.

It is no part of the platform's own processes and imports nothing of them.
"""

import io
import os
import py_compile
import sys
import tarfile
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from importlib.util import cache_from_source

SCRATCH = "/tmp/compiled"  # noqa: S108  (inside the sandbox)


def compiled(roots: list[str]) -> Iterator[tuple[str, bytes]]:
    """`(path of the bytecode, content)` of every file that compiles."""
    for root in roots:
        for directory, names, files in os.walk(root):
            names.sort()
            for name in sorted(files):
                source = os.path.join(directory, name)
                if name.endswith(".py") and compile_one(source):
                    with open(SCRATCH, "rb") as result:
                        yield cache_from_source(source), result.read()


def compile_one(source: str) -> bool:
    """Compile one file into SCRATCH."""
    mode = py_compile.PycInvalidationMode.UNCHECKED_HASH
    try:
        py_compile.compile(source, SCRATCH, doraise=True, invalidation_mode=mode)
    except Exception:
        # Whatever a stranger's file does to the compiler, the next one may be better.
        return False
    return True


class Handler(BaseHTTPRequestHandler):
    """GET /ping, GET /compiled."""

    def do_GET(self) -> None:
        """Answer either."""
        self.send_response(200)
        self.end_headers()
        if self.path != "/compiled":
            return
        with tarfile.open(fileobj=self.wfile, mode="w|", format=tarfile.PAX_FORMAT) as tar:
            for path, content in compiled(sys.argv[1:]):
                member = tarfile.TarInfo(path.lstrip("/"))
                member.size = len(content)
                tar.addfile(member, io.BytesIO(content))

    def log_message(self, format: str, *args: object) -> None:
        """Quiet."""


if __name__ == "__main__":
    HTTPServer(("127.0.0.1", 8080), Handler).serve_forever()
