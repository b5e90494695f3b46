"""Raw logs to served scores: every stage in order, then the report.

    raw logs ──ingest──▶ survey, probe ──etl──▶ plan + encoded Parquet ──train──▶ DLRM weights
                                                   │                                   │
                                                   └───────────── export ◀─────────────┘
                                                                    │
                                              Triton model repository ──serve──▶ probabilities

The order stands in `plumbline/stages/run_all.py`, and each stage in a file beside it.
"""

from plumbline.cli import main

if __name__ == "__main__":
    main("run")
