"""What one does with a run beside running it: foresee it, look at its jobs, mend it, verify what came out."""
