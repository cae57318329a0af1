"""Run by Alembic for every command: uses the connection, and its transaction, that `store.upgrade` hands over."""

from alembic import context

from lungassist.store.schema import metadata

context.configure(connection=context.config.attributes["connection"], target_metadata=metadata)
context.run_migrations()
