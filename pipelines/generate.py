"""Stage generate: Criteo-format logs from a known click model (only where the config has one)."""

from plumbline.cli import main

if __name__ == "__main__":
    main("generate")
