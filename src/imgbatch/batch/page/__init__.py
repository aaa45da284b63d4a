"""imgbatch-report.html: a run on one page, in one file that needs nothing else."""
