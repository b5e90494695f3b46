"""A stand-in for the gateway: answers with what it was told on its standard input."""

import json
import os
import socket
import sys
import threading
from typing import Any


class StandIn:
    def __init__(self) -> None:
        self.settings = json.loads(sys.stdin.readline())
        self.state: dict[str, Any] = {}

    def run(self) -> None:
        threading.Thread(target=self.serve, daemon=True).start()
        for beats, line in enumerate(sys.stdin):
            self.state = {**json.loads(line), "beats": beats}

    def serve(self) -> None:
        listener = socket.socket(fileno=self.settings["listen_fd"])
        while True:
            client, _ = listener.accept()
            if client.recv(16) == b"die":
                os._exit(5)
            told = {"settings": self.settings, "state": self.state}
            client.sendall(json.dumps(told).encode())
            client.close()


if __name__ == "__main__":
    StandIn().run()
