"""Coefficients and table of csrc/softmax/exp2.h: 2^f near 0, for both element types.

    float   8 values 2^(j/8) and a polynomial on [-1/16, 1/16]
    double  no table, a polynomial on [-1/2, 1/2]

The polynomials are minimax fits of the relative error with the constant term fixed at 1, by Lawson's iteration in
60-digit arithmetic.  The coefficients are rounded to the working precision one at a time, lowest degree first, the
higher ones fitted again after each, so that the rounding of one is absorbed by the next.

    python tools/exp2_coefficients.py            print them as C literals, and the error that is left
"""

from __future__ import annotations

import struct

import mpmath as mp

mp.mp.dps = 60
POINTS, ROUNDS = 64, 24


def round_to(value: mp.mpf, bits: int) -> mp.mpf:
    """Round to `bits` significant bits, ties to even."""
    exponent = int(mp.floor(mp.log(abs(value), 2))) - bits + 1
    return mp.nint(mp.ldexp(value, -exponent)) * mp.mpf(2) ** exponent


def relative_error(coefficients: list[mp.mpf], f: mp.mpf) -> mp.mpf:
    return mp.polyval(coefficients[::-1], f) / mp.mpf(2) ** f - 1


def minimax(fixed: list[mp.mpf], degree: int, reach: mp.mpf) -> list[mp.mpf]:
    """The polynomial with the given lowest coefficients and the least largest relative error on [-reach, reach].

    Lawson's iteration: weighted least squares on Chebyshev points, each weight multiplied by the error there.
    """
    first = len(fixed)
    points = [-mp.cos(mp.pi * (i + mp.mpf(1) / 2) / POINTS) * reach for i in range(POINTS)]
    target = [mp.mpf(2) ** f for f in points]
    rows = mp.matrix([[f**k / t for k in range(first, degree + 1)] for f, t in zip(points, target, strict=True)])
    right = mp.matrix([1 - mp.polyval(fixed[::-1], f) / t for f, t in zip(points, target, strict=True)])
    weights = [mp.mpf(1) / POINTS] * POINTS
    for _ in range(ROUNDS):
        weighted = mp.matrix([[w * rows[i, j] for j in range(rows.cols)] for i, w in enumerate(weights)])
        solution = mp.lu_solve(weighted.T * rows, weighted.T * right)
        residual = rows * solution - right
        weights = [w * abs(residual[i]) for i, w in enumerate(weights)]
        total = sum(weights)
        weights = [w / total for w in weights]
    return fixed + [solution[i] for i in range(rows.cols)]


def fit(degree: int, bits: int, reach: mp.mpf) -> list[mp.mpf]:
    fixed = [mp.mpf(1)]
    while len(fixed) <= degree:
        fixed.append(round_to(minimax(fixed, degree, reach)[len(fixed)], bits))
    return fixed


def table_entry(j: int) -> tuple[int, float]:
    """The bits of float 2^(j/8), less the j << 20 that the shifted argument brings along; and what it lacks.

    The second number is the relative error that rounding to float left, to be added to the polynomial.
    """
    exact = mp.mpf(2) ** (mp.mpf(j) / 8)
    nearest = round_to(exact, 24)
    bits = int(struct.unpack("<I", struct.pack("<f", float(nearest)))[0]) - (j << 20)
    lack = exact / nearest - 1
    return bits, float(round_to(lack, 24)) if j else 0.0


def main() -> None:
    for name, degree, bits, reach in (("float", 4, 24, mp.mpf(1) / 16), ("double", 11, 53, mp.mpf(1) / 2)):
        coefficients = fit(degree, bits, reach)
        worst = max(abs(relative_error(coefficients, reach * i / 2000)) for i in range(-2000, 2001))
        print(f"{name}: degree {degree}, largest relative error 2^{mp.nstr(mp.log(worst, 2), 5)}")
        print("   ", " ".join(float(c).hex() for c in coefficients[1:]))
    entries = [table_entry(j) for j in range(8)]
    print("float: table\n   ", ", ".join(f"0x{bits:08x}" for bits, _ in entries))
    print("   ", ", ".join(f"{lack.hex()}f" for _, lack in entries))


if __name__ == "__main__":
    main()
