"""A model's journey begins here: an index of labelled images, its split, and the prepared pixels."""

from lungassist.dataset.audit import Audit, audit
from lungassist.dataset.cache import open_cache
from lungassist.dataset.caches import CacheEntry, list_caches, remove_cache
from lungassist.dataset.duplicates import duplicate_groups
from lungassist.dataset.index import DatasetIndex, index_folder
from lungassist.dataset.leaks import without_leaks
from lungassist.dataset.prepared import ImageRows, PreparedImages
from lungassist.dataset.public import PUBLIC_COUNTS, compare_with_public, public_sentence
from lungassist.dataset.splits import (
    SPLITS,
    UNREADABLE,
    UNUSED,
    assign_splits,
    read_split,
    split_at_random,
    split_by_patient,
    split_hash,
    write_split,
)

__all__ = [
    "PUBLIC_COUNTS",
    "SPLITS",
    "UNREADABLE",
    "UNUSED",
    "Audit",
    "CacheEntry",
    "DatasetIndex",
    "ImageRows",
    "PreparedImages",
    "assign_splits",
    "audit",
    "compare_with_public",
    "duplicate_groups",
    "index_folder",
    "list_caches",
    "open_cache",
    "public_sentence",
    "read_split",
    "remove_cache",
    "split_at_random",
    "split_by_patient",
    "split_hash",
    "without_leaks",
    "write_split",
]
