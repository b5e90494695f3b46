"""Score rows with a server: `python serving/client.py score FILE`."""

from plumbline.cli import main

if __name__ == "__main__":
    main("client")
