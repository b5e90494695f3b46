"""Raw logs to served scores: every stage in order, then the report.

    raw logs ──ingest──▶ survey, probe ──etl──▶ plan + encoded Parquet ──train──▶ DLRM weights
                                                   │                                   │
                                                   └───────────── export ◀─────────────┘
                                                                    │
                                              Triton model repository ──serve──▶ probabilities

`plumbline/stages/run_all.py` has the order of the stages, and a file beside it each stage.
"""

from plumbline.cli import main

if __name__ == "__main__":
    main("run")
