"""A model's journey begins here: an index of labelled images, its split, and the prepared pixels."""

from lungassist.dataset.cache import PreparedImages, prepare_all
from lungassist.dataset.index import DatasetIndex, index_folder
from lungassist.dataset.splits import SPLITS, split_by_patient, split_hash

__all__ = [
    "SPLITS",
    "DatasetIndex",
    "PreparedImages",
    "index_folder",
    "prepare_all",
    "split_by_patient",
    "split_hash",
]
