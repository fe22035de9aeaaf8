"""A web server of a folder, for tests; it answers requests for parts of files, as GDAL makes them.

It is a process of its own: while GDAL waits for an answer, no other thread of Python runs.
"""

import contextlib
import http.server
import subprocess
import sys
from functools import partial
from pathlib import Path


class Handler(http.server.SimpleHTTPRequestHandler):
    """Serves files and parts of files, and prints what was asked for."""

    protocol_version = "HTTP/1.1"

    def do_GET(self):
        print(self.path, flush=True)
        try:
            content = Path(self.translate_path(self.path)).read_bytes()
        except OSError:
            self.send_error(404)
            return
        part = self.headers.get("Range")
        if part:
            first, last = part.removeprefix("bytes=").split("-")
            first, last = int(first), min(int(last or len(content) - 1), len(content) - 1)
            self.send_response(206)
            self.send_header("Content-Range", f"bytes {first}-{last}/{len(content)}")
            content = content[first : last + 1]
        else:
            self.send_response(200)
        self.send_header("Accept-Ranges", "bytes")
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    def log_message(self, *words):
        pass


@contextlib.contextmanager
def served(folder, monkeypatch):
    """Serve a folder; give the address of its root, and a list that holds, in the end, the paths asked for."""
    for name in ("NO_PROXY", "no_proxy"):
        monkeypatch.setenv(name, "127.0.0.1")
    asked = []
    with subprocess.Popen([sys.executable, __file__, folder], stdout=subprocess.PIPE, text=True) as server:
        try:
            yield f"http://127.0.0.1:{server.stdout.readline().strip()}", asked
        finally:
            server.terminate()
            asked += server.stdout.read().splitlines()


if __name__ == "__main__":
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), partial(Handler, directory=sys.argv[1])) as server:
        print(server.server_port, flush=True)
        server.serve_forever()
