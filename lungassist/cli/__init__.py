"""The core from the command line: `python -m lungassist`. Heavy imports wait until a command needs them."""
