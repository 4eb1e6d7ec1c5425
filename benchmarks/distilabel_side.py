"""distilabel's side of `benchmarks/llm_throughput.py`, run by a Python that has distilabel.

    python benchmarks/distilabel_side.py requests.jsonl URL CONCURRENCY

Each line of the input has `system_prompt` and `instruction`. Prints the seconds of the pipeline without its loading
time, and the number of requests with an answer.
"""

from __future__ import annotations

import json
import sys
import time

from distilabel.models import OpenAILLM
from distilabel.pipeline import Pipeline
from distilabel.steps import LoadDataFromDicts
from distilabel.steps.tasks import TextGeneration


def main(source: str, url: str, concurrency: str) -> None:
    with open(source, encoding="utf-8") as file:
        rows = [json.loads(line) for line in file]
    # distilabel sends the requests of one batch at the same time.
    size = int(concurrency)
    with Pipeline() as pipeline:
        load = LoadDataFromDicts(data=rows, batch_size=size)
        llm = OpenAILLM(model="fake", base_url=url, api_key="none", generation_kwargs={"temperature": 0.25})
        load >> TextGeneration(llm=llm, use_system_prompt=True, input_batch_size=size)
    start = time.perf_counter()
    merged = pipeline.run(use_cache=False)["default"]["train"]
    seconds = time.perf_counter() - start
    print(json.dumps({"seconds": seconds, "answered": sum(bool(text) for text in merged["generation"])}))


if __name__ == "__main__":
    main(*sys.argv[1:])
