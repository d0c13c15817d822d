"""Coefficients of the polynomial P(f) = 2^f on [-1/2, 1/2], for csrc/real_f32.h and csrc/real_f64.h.

A minimax fit of the relative error with the constant term fixed at 1, by Lawson's iteration in 60-digit
arithmetic.  The coefficients are then rounded to the working precision one at a time, lowest degree first,
refitting the higher ones after each rounding, so that the rounding of one is absorbed by the next.

    python tools/exp2_coefficients.py            print the coefficients as hex floats and the error left
"""

from __future__ import annotations

import mpmath as mp

mp.mp.dps = 60
LOW, HIGH = mp.mpf(-1) / 2, mp.mpf(1) / 2
POINTS, ROUNDS = 64, 24


def round_to(value: mp.mpf, bits: int) -> mp.mpf:
    """Round to `bits` significant bits, ties to even."""
    if value == 0:
        return mp.mpf(0)
    exponent = int(mp.floor(mp.log(abs(value), 2))) - bits + 1
    return mp.nint(mp.ldexp(value, -exponent)) * mp.mpf(2) ** exponent


def relative_error(coefficients: list[mp.mpf], f: mp.mpf) -> mp.mpf:
    return mp.polyval(coefficients[::-1], f) / mp.mpf(2) ** f - 1


def minimax(fixed: list[mp.mpf], degree: int) -> list[mp.mpf]:
    """The polynomial of `degree` with the given lowest coefficients and the least largest relative error.

    Lawson's iteration: weighted least squares on Chebyshev points, each weight multiplied by the error there.
    """
    first, points = len(fixed), [-mp.cos(mp.pi * (i + mp.mpf(1) / 2) / POINTS) / 2 for i in range(POINTS)]
    target = [mp.mpf(2) ** f for f in points]
    rows = mp.matrix([[f**k / t for k in range(first, degree + 1)] for f, t in zip(points, target, strict=True)])
    right = mp.matrix(
        [1 - mp.polyval(fixed[::-1], f) / t for f, t in zip(points, target, strict=True)]
    )
    weights = [mp.mpf(1) / POINTS] * POINTS
    for _ in range(ROUNDS):
        weighted = mp.matrix([[w * rows[i, j] for j in range(rows.cols)] for i, w in enumerate(weights)])
        solution = mp.lu_solve(weighted.T * rows, weighted.T * right)
        residual = rows * solution - right
        weights = [w * abs(residual[i]) for i, w in enumerate(weights)]
        total = sum(weights)
        weights = [w / total for w in weights]
    return fixed + [solution[i] for i in range(rows.cols)]


def fit(degree: int, bits: int) -> list[mp.mpf]:
    fixed = [mp.mpf(1)]
    while len(fixed) <= degree:
        fixed.append(round_to(minimax(fixed, degree)[len(fixed)], bits))
    return fixed


def main() -> None:
    for name, degree, bits in (("f32", 6, 24), ("f64", 11, 53)):
        coefficients = fit(degree, bits)
        worst = max(abs(relative_error(coefficients, LOW + (HIGH - LOW) * i / 4000)) for i in range(4001))
        print(f"{name}: degree {degree}, largest relative error 2^{mp.nstr(mp.log(worst, 2), 5)}")
        print("   ", " ".join(float(c).hex() for c in coefficients[1:]))


if __name__ == "__main__":
    main()
