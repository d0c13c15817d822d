"""Boltzmann exploration: 64 agents learn a small maze together, at a falling temperature.

    python examples/boltzmann_exploration.py

Each agent draws its move from softmax(Q/T) over the moves that are legal in its cell. As the temperature falls,
the agents move from exploring to using what they have learned.
"""

import numpy as np

import fastsoftmax

MAZE = """
S.#..
..#..
....#
.#...
.#..G
"""
ARROWS = "^v<>"
MOVES = np.array([(-1, 0), (1, 0), (0, -1), (0, 1)])
AGENTS, STEPS = 64, 1500
RATE, DISCOUNT = 0.5, 0.9

rows = MAZE.split()
height, width = len(rows), len(rows[0])
cells = "".join(rows)
start, goal = cells.index("S"), cells.index("G")

# The cell that each move leads to, and whether the move is legal.
leads_to = np.zeros((height * width, 4), int)
legal = np.zeros((height * width, 4), bool)
for cell in range(height * width):
    for move, (down, right) in enumerate(MOVES):
        row, column = cell // width + down, cell % width + right
        if 0 <= row < height and 0 <= column < width and rows[row][column] != "#":
            leads_to[cell, move] = row * width + column
            legal[cell, move] = True

rng = np.random.default_rng(0)
temperature = fastsoftmax.schedules.exponential(1.0, 0.01, steps=STEPS)
q = np.zeros((height * width, 4))
at = np.full(AGENTS, start)
arrived = 0
for step in range(STEPS):
    move = fastsoftmax.sample(q[at], temperature(step), mask=legal[at], rng=rng)
    to = leads_to[at, move]
    best_next = np.where(legal[to], q[to], -np.inf).max(axis=1)
    target = np.where(to == goal, 1.0, DISCOUNT * best_next)
    q[at, move] += RATE * (target - q[at, move])
    arrived += np.sum(to == goal)
    at = np.where(to == goal, start, to)
    if (step + 1) % 300 == 0:
        print(f"to step {step + 1:4}   temperature {temperature(step):.3f}   arrivals at goal {arrived:5}")
        arrived = 0

# Temperature 0 is the greedy policy.
policy = fastsoftmax.sample(q, 0, mask=legal | (legal.sum(axis=1, keepdims=True) == 0))
picture = list(cells)
at, steps = start, 0
while at != goal and steps < height * width:
    picture[at] = ARROWS[policy[at]]
    at = leads_to[at, policy[at]]
    steps += 1
print("\n".join("".join(picture[i : i + width]) for i in range(0, height * width, width)))
shortest = np.abs(np.subtract(divmod(start, width), divmod(goal, width))).sum()
print(f"The greedy path takes {steps} steps; the shortest possible takes {shortest}.")
