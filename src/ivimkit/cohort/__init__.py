"""Cohorts: many scans, of a BIDS data set or a table of paths, on one machine or on many."""

from ivimkit.cohort.array_script import slurm_script
from ivimkit.cohort.bids_dataset import find_bids
from ivimkit.cohort.bids_filters import BidsFilters, read_filters
from ivimkit.cohort.dask_cluster import DaskWorkers, dask_workers
from ivimkit.cohort.derivative_images import MapName
from ivimkit.cohort.group import NO_PARQUET, group
from ivimkit.cohort.ledger import Entry, Ledger
from ivimkit.cohort.model_source import ModelSource
from ivimkit.cohort.part import Part
from ivimkit.cohort.path_table import find_in_table, is_path_table
from ivimkit.cohort.recipe import MAP, Recipe
from ivimkit.cohort.run import CohortRun, Plan, plan, run
from ivimkit.cohort.share_of_machine import ShareOfMachine, memory_for
from ivimkit.cohort.subjects import Found, Subject
from ivimkit.cohort.task import Outcome

__all__ = [
    "MAP",
    "NO_PARQUET",
    "BidsFilters",
    "CohortRun",
    "DaskWorkers",
    "Entry",
    "Found",
    "Ledger",
    "MapName",
    "ModelSource",
    "Outcome",
    "Part",
    "Plan",
    "Recipe",
    "ShareOfMachine",
    "Subject",
    "dask_workers",
    "find_bids",
    "find_in_table",
    "group",
    "is_path_table",
    "memory_for",
    "plan",
    "read_filters",
    "run",
    "slurm_script",
]
