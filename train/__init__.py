"""Entry points that train and evaluate models: thin command lines over `lungassist`."""
