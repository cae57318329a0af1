"""The database of what outlives a page: SQLite in the user's data folder, or PostgreSQL."""

from lungassist.store.database import Store, open_store

__all__ = ["Store", "open_store"]
