"""Score rows with a server: `python serving/client.py score FILE`."""

from plumbline.serving.score.score_command import app

if __name__ == "__main__":
    app()
