"""One session for all calls, or one for each worker; against a server of this process."""

import http.server
import threading

import requests

from bridge import ThreadSafeAdapter, tool

FOUND = "session"


class _Answers(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        self.send_response(200)
        self.send_header("Content-Length", "2")
        self.end_headers()
        self.wfile.write(b"ok")

    def log_message(self, format, *args):
        pass


class Served(ThreadSafeAdapter):
    def setup(self):
        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), _Answers)
        self.url = f"http://127.0.0.1:{self.server.server_port}/"
        self.thread = threading.Thread(target=self.server.serve_forever)
        self.thread.start()

    def close(self):
        self.server.shutdown()
        self.thread.join()
        self.server.server_close()


class Wrong(Served):
    def setup(self):
        super().setup()
        self.session = requests.Session()
        self.session.trust_env = False

    @tool
    def fetch(self) -> str:
        return self.session.get(self.url, timeout=30).text


class Right(Served):
    @tool
    def fetch(self) -> str:
        session = self.get_thread_local("session")
        if session is None:
            session = requests.Session()
            session.trust_env = False
            self.set_thread_local("session", session)
        return session.get(self.url, timeout=30).text
