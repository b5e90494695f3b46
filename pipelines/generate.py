"""Stage generate: Criteo-format logs from a click model, if the configuration has one."""

from plumbline.cli import main

if __name__ == "__main__":
    main("generate")
