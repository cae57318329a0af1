"""Alembic's scripts: each takes the database of one version to that of the next."""
