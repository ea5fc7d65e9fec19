"""Results of serving benchmarks that people run themselves, read into one form: one small file for each tool."""
