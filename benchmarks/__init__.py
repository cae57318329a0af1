"""What LungAssist costs, measured. Each module runs as `python -m benchmarks.NAME` and prints what it was run on."""
