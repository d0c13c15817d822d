"""Attention over the neighbours of each node of a graph, and a walk that follows it: rows of different lengths.

    python examples/graph_attention.py

The edges of a graph, sorted by the node they leave, are rows of different lengths in one array. Each node weighs its
neighbours by softmax of a score, averages their features by these weights (a graph attention layer), and a walker draws
the edge it leaves by from the same scores.
"""

import numpy as np

import fastsoftmax

NODES, FEATURES, STEPS, WALKERS = 2_000, 8, 20, 5_000

rng = np.random.default_rng(3)
degrees = np.minimum(rng.zipf(1.8, NODES), 200)  # a few hubs, many nodes with one edge
rows = fastsoftmax.SegmentedRows.from_lengths(degrees)
ends = rng.integers(0, NODES, degrees.sum())
starts = np.repeat(np.arange(NODES), degrees)

features = rng.normal(size=(NODES, FEATURES))
scores = (features[starts] * features[ends]).sum(axis=1) / np.sqrt(FEATURES)

attention = rows.softmax(scores)
mixed = np.add.reduceat(attention[:, None] * features[ends], rows.offsets[:-1])
print(f"{NODES} nodes, {len(ends)} edges, {degrees.min()} to {degrees.max()} at a node")
print(f"weights of a node add up to 1 within {abs(np.add.reduceat(attention, rows.offsets[:-1]) - 1).max():.0e}")
print(f"features vary by {features.std():.2f} before attention, {mixed.std():.2f} after")

# One edge of every node for each step: walkers at the same node leave it together.
at = rng.integers(0, NODES, WALKERS)
for _ in range(STEPS):
    edge = rows.sample(scores, 0.5, rng=rng, flat=True)
    at = ends[edge[at]]
print(f"{WALKERS} walkers are at {len(np.unique(at))} nodes after {STEPS} steps")
