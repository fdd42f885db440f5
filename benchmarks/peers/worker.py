"""What all contenders of compare.py share: they wait to be told when to run, so that they run in turns.

A contender's script defines `make(job, threads)`, which gives a function to time. Its process answers a line "go" with
the seconds of one call, and "end" with its peak memory; where the call returns a picture, that is saved for its dB.
"""

import json
import re
import sys
import time
from pathlib import Path

import numpy as np


def serve(make, versions: dict) -> None:
    job = json.loads(sys.argv[1])
    run = make(job)
    answer({"versions": versions})
    result = None
    for line in sys.stdin:
        if line.strip() == "go":
            started = time.perf_counter()
            result = run()
            answer({"seconds": time.perf_counter() - started})
        elif line.strip() == "end":
            if job.get("output") and result is not None:
                np.save(job["output"], np.asarray(result, np.float32))
            # Not getrusage: its peak starts at the size of the process that forked this one.
            answer({"peak_mib": int(re.search(r"VmHWM:\s+(\d+)", Path("/proc/self/status").read_text())[1]) / 1024})
            return


def answer(values: dict) -> None:
    print("\n@" + json.dumps(values), flush=True)
