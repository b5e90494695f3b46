"""The quality cost of bfloat16, on drawn logs whose best reachable AUC is known.

The logs of configs/criteo_synthetic.yaml are drawn and encoded once. The configuration's model is
then trained on them in float32, in bfloat16, and in bfloat16 with bfloat16 rows, with three seeds
each. The figure is the missing share of the click model's own AUC above .5: 1 is an AUC of .5.
"""

from __future__ import annotations

import json
import tempfile
from pathlib import Path
from statistics import mean

from rich.console import Console

from benchmarks.harness import OURS, Benchmark, parser
from plumbline.dlrm.data.parquet_loader import ParquetLoader
from plumbline.dlrm.model.architecture import Architecture
from plumbline.dlrm.score.evaluation import clicks_of, evaluate
from plumbline.dlrm.score.scorer import Scorer
from plumbline.dlrm.train.averaging import averaged
from plumbline.dlrm.train.fused_trainer import FusedTrainer
from plumbline.dlrm.train.training import train
from plumbline.dlrm.train.training_plan import planned
from plumbline.features.plan.plan import read_plan
from plumbline.settings import Config
from plumbline.settings.configuration import load_config
from plumbline.stages import etl, generate, ingest
from plumbline.stages import evaluate as evaluate_stage
from plumbline.stages.finished import finished_stages
from plumbline.stages.run import DEFAULT_CONFIG, Run
from plumbline.stages.stage import parts

SEEDS = (1, 2, 3)
QUICK_ROWS = 20_000
SIDES = {"fp32": ("fp32", "fp32"), OURS: ("bf16", "fp32"), "bf16 rows": ("bf16", "bf16")}
"""Side to the precision of the layers, and that of the rows."""


def encoded(config: Config, folder: Path) -> Run:
    """Draw and encode the logs; returns their run."""
    run = Run(config, (), "native", "fused", "cpu", None)
    for stage in (generate.STAGE, ingest.STAGE, etl.STAGE):
        stage.ensure(run, folder)
    return run


def auc(config: Config, folder: Path, seed: int, precision: str, rows: str) -> float:
    """AUC on the test split after training with this seed."""
    plan = read_plan(folder / "etl" / "plan")
    files = parts(folder / "etl" / "train")
    clicks, count = clicks_of(files)
    chosen = config.training.model_copy(update={"precision": precision})
    training = planned(chosen, count)
    model = config.model.model_copy(update={"embedding_rows": rows})
    architecture = Architecture.of(plan, model)
    with tempfile.TemporaryDirectory(dir=folder) as out:
        train(
            averaged(FusedTrainer(architecture, training, seed, "cpu"), training, count),
            ParquetLoader(files, architecture, training.batch_size),
            training,
            seed=seed,
            valid_files=parts(folder / "etl" / "valid"),
            out=Path(out),
            plan_hash=plan.content_hash,
            click_rate=clicks / count,
        )
        scorer = Scorer.load(Path(out) / "model", plan.content_hash)
        return evaluate(scorer, parts(folder / "etl" / "test")).auc


def main() -> None:
    options = parser(__doc__).parse_args()
    config = load_config(DEFAULT_CONFIG)
    if options.quick:
        model = config.click_model.model_copy(update={"rows": QUICK_ROWS})
        config = config.model_copy(update={"click_model": model})
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        run = encoded(config, folder)
        with finished_stages(folder, ("generate", "etl")) as inputs:
            best = evaluate_stage.bayes_auc(run, inputs, folder)
        aucs = {
            side: [auc(config, folder, seed, *kind) for seed in SEEDS]
            for side, kind in SIDES.items()
        }
    Console().print_json(json.dumps({"bayes": best, **aucs}))
    benchmark = Benchmark("quality")
    missing = {side: [(best - x) / (best - 0.5) for x in of] for side, of in aucs.items()}
    benchmark.add("share of the reachable AUC that is missing", "", missing)
    ours = mean(aucs[OURS])
    benchmark.at_most("|AUC of bf16 - AUC of fp32|", abs(ours - mean(aucs["fp32"])), 0.0005)
    benchmark.at_least("share of (bayes_auc - .5), bf16", (ours - 0.5) / (best - 0.5), 0.97)
    benchmark.report(options.json)


if __name__ == "__main__":
    main()
