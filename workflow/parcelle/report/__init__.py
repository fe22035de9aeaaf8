"""The report: one page of maps, scores and what they were made from, which opens without network."""
