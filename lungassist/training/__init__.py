"""Fits networks. Needs torch, torchvision and the scientific stack alone, so that it runs on a bare GPU host."""
