"""LungAssist: reads chest X-rays, classifies and explains them, and trains the models that do so.

Importing this package loads nothing heavy; import the modules you need.
"""

__version__ = "0.1.0"
