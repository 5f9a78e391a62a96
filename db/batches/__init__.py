"""Batches in both stores: ``board`` in Redis, ``ledger`` and what is computed from it in the database."""
