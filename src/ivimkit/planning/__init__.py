"""Which b-values to measure, and what a protocol can tell of each parameter."""

from ivimkit.planning.candidates import Candidates, candidates_of
from ivimkit.planning.criterion import CRITERIA, Goal
from ivimkit.planning.echo_time import EchoTime, StejskalTanner, TabledEchoTime, tissue_T2_ms
from ivimkit.planning.parameter_errors import (
    MAX_RELATIVE_ERROR,
    ParameterErrors,
    ProtocolErrors,
    protocol_errors,
)
from ivimkit.planning.planner import design
from ivimkit.planning.population import Population, population_names, population_of
from ivimkit.planning.protocol_design import Needed, ProtocolDesign
from ivimkit.planning.published_sets import (
    PublishedSet,
    published,
    published_for,
    published_names,
)

__all__ = [
    "CRITERIA",
    "MAX_RELATIVE_ERROR",
    "Candidates",
    "EchoTime",
    "Goal",
    "Needed",
    "ParameterErrors",
    "Population",
    "ProtocolDesign",
    "ProtocolErrors",
    "PublishedSet",
    "StejskalTanner",
    "TabledEchoTime",
    "candidates_of",
    "design",
    "population_names",
    "population_of",
    "protocol_errors",
    "published",
    "published_for",
    "published_names",
    "tissue_T2_ms",
]
