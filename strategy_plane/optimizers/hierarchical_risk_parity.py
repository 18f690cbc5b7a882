"""Hierarchical risk parity: risk shared down a tree of similar assets, without inverting a covariance."""

import numpy as np
from numpy.typing import NDArray
from scipy.cluster.hierarchy import leaves_list, linkage
from scipy.spatial.distance import pdist

from strategy_plane.optimizers.port import FactorRisk, Matrix, Vector

Places = NDArray[np.intp]


def hierarchical_risk_parity(risk: FactorRisk) -> Vector:
    """Long-only weights that sum to one, shape (n,) (Lopez de Prado 2016), in his own convention.

    That convention clusters the *columns* of the matrix of distances ``√((1 - correlation) / 2)`` by their
    Euclidean distance, single linkage, in the order of the tree without optimal reordering; other programs
    cluster the distances themselves, or use Ward's linkage, and get other weights. Which branch of the tree
    stands left follows the order of the assets, so that order matters: keep it the same between decisions.
    """
    return _weights(risk.covariance)


def _weights(covariance: Matrix) -> Vector:
    assets = len(covariance)
    if assets == 1:
        return np.ones(1)
    weights = np.ones(assets)
    variances = np.diag(covariance)
    clusters = [_quasi_diagonal(covariance)]
    while clusters:
        halves = [(part[: len(part) // 2], part[len(part) // 2 :]) for part in clusters]
        for left, right in halves:
            first, second = (_cluster_variance(covariance, variances, part) for part in (left, right))
            share = 1.0 - first / (first + second)
            weights[left] *= share
            weights[right] *= 1.0 - share
        clusters = [part for pair in halves for part in pair if len(part) > 1]
    total: Vector = weights / weights.sum()
    return total


def _quasi_diagonal(covariance: Matrix) -> Places:
    """Order of the assets in the tree, so that similar ones stand together."""
    deviations = np.sqrt(np.diag(covariance))
    correlation = np.clip(covariance / np.outer(deviations, deviations), -1.0, 1.0)
    distances = np.sqrt((1.0 - correlation) / 2.0)
    np.fill_diagonal(distances, 0.0)
    order: Places = leaves_list(linkage(pdist(distances), method="single"))
    return order


def _cluster_variance(covariance: Matrix, variances: Vector, part: Places) -> float:
    """Variance of the inverse-variance portfolio of a cluster."""
    inverse = 1.0 / variances[part]
    inverse /= inverse.sum()
    return float(inverse @ covariance[np.ix_(part, part)] @ inverse)
