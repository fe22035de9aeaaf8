"""Write down in which job of SLURM the first line of a script runs, and when."""

import os
import time
from pathlib import Path

if __name__ == "__main__":
    Path(snakemake.output[0]).write_text(f"{os.environ['SLURM_JOB_ID']} {time.time():.3f}\n")
