"""Vector columns: which index they should have, building it, and measuring what a search finds."""

from tekup_migrate.postgres.vector_index.building import build
from tekup_migrate.postgres.vector_index.choosing import recommendations
from tekup_migrate.postgres.vector_index.columns import VectorColumn, metric_of, vector_columns
from tekup_migrate.postgres.vector_index.recommendation import (
    LARGEST_VECTOR_DIMENSIONS,
    Method,
    Recommendation,
    recommend,
    server_memory,
)
from tekup_migrate.postgres.vector_index.search import (
    FUNCTION_SECONDS,
    SearchQuality,
    is_search,
    measure,
    measure_function,
    measure_written_plan,
    over_the_same,
)
from tekup_migrate.postgres.vector_index.truth import Truth, sample_vectors, truth_of

__all__ = [
    "FUNCTION_SECONDS",
    "LARGEST_VECTOR_DIMENSIONS",
    "Method",
    "Recommendation",
    "SearchQuality",
    "Truth",
    "VectorColumn",
    "build",
    "is_search",
    "measure",
    "measure_function",
    "measure_written_plan",
    "metric_of",
    "over_the_same",
    "recommend",
    "recommendations",
    "sample_vectors",
    "server_memory",
    "truth_of",
    "vector_columns",
]
