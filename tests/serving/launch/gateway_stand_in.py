"""A stand-in for the gateway: answers with what it was told on its standard input."""

import json
import socket
import sys
import threading

settings = json.loads(sys.stdin.readline())
state: dict[str, object] = {}


def serve() -> None:
    listener = socket.socket(fileno=settings["listen_fd"])
    while True:
        client, _ = listener.accept()
        word = client.recv(16)
        if word == b"die":
            listener.detach()
            import os

            os._exit(5)
        client.sendall(json.dumps({"settings": settings, "state": state}).encode())
        client.close()


threading.Thread(target=serve, daemon=True).start()
for line in sys.stdin:
    state = {**json.loads(line), "beats": int(str(state.get("beats", 0))) + 1}
