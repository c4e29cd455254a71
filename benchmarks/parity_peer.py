"""The other half of parity.py: runs lm-eval over prepared tasks, as `python parity_peer.py JOB RESULT`.

The job names a model folder, a folder with task files, and the tasks. The result has, of each task, the seconds from
rows to scores with the model loaded, and of each sample what was asked and what came back.
"""

from __future__ import annotations

import json
import os
import sys
import time
from pathlib import Path
from typing import Any

os.environ.update(OMP_WAIT_POLICY="PASSIVE", HF_HUB_OFFLINE="1", TOKENIZERS_PARALLELISM="false")


def main() -> None:
    import lm_eval
    import torch
    import transformers
    from lm_eval.models.huggingface import HFLM
    from lm_eval.tasks import TaskManager

    job = json.loads(Path(sys.argv[1]).read_text())
    torch.set_num_threads(job["threads"])
    began = time.perf_counter()
    model = HFLM(pretrained=job["model"], dtype="float32", device="cpu", batch_size=job["batch"])
    loading = time.perf_counter() - began
    manager = TaskManager(include_path=job["tasks_folder"])
    tasks = {name: run(lm_eval, model, manager, name) for name in job["tasks"]}
    versions = {"lm-eval": lm_eval.__version__, "torch": torch.__version__, "transformers": transformers.__version__}
    Path(sys.argv[2]).write_text(json.dumps({"versions": versions, "loading_s": loading, "tasks": tasks}))


def run(lm_eval: Any, model: Any, manager: Any, name: str) -> dict[str, Any]:
    began = time.perf_counter()
    result = lm_eval.simple_evaluate(
        model=model, tasks=[name], task_manager=manager, log_samples=True, bootstrap_iters=0, random_seed=0
    )
    seconds = time.perf_counter() - began
    samples = [
        {
            "place": sample["doc"]["place"],
            "asked": [context for context, _ in sample["arguments"]],
            "weighed": [continuation for _, continuation in sample["arguments"]],
            "answers": [one[0] for one in sample["resps"]],
            "metrics": {key: sample[key] for key in ("acc", "acc_norm", "exact_match") if key in sample},
        }
        for sample in result["samples"][name]
    ]
    return {"seconds": seconds, "samples": samples}


if __name__ == "__main__":
    main()
