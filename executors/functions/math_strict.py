"""Elementary functions whose last digit differs between C libraries and Java's StrictMath (the FDLIBM algorithms)."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

Doubles = npt.NDArray[np.float64]

_LN2_HIGH, _LN2_LOW = 6.93147180369123816490e-01, 1.90821492927058770002e-10
_INVERSE_LN2 = 1.44269504088896338700
_EXP_POLYNOMIAL = (
    4.13813679705723846039e-08, -1.65339022054652515390e-06, 6.61375632143793436117e-05,
    -2.77777777770155933842e-03, 1.66666666666666019037e-01,
)  # fmt: skip


def exp(x: Doubles) -> Doubles:
    """e**x by argument reduction to |r| <= ln(2)/2 and a rational approximation."""
    with np.errstate(all="ignore"):
        size = np.abs(x)
        near = size < 1.5 * 0.34657359027997264 * 2
        steps = np.where(near, np.sign(x), np.trunc(_INVERSE_LN2 * x + np.copysign(0.5, x)))
        steps = np.where(size > 0.34657359027997264, steps, 0.0)
        steps = np.nan_to_num(np.clip(steps, -2000, 2000))
        high, low = x - steps * _LN2_HIGH, steps * _LN2_LOW
        rest = high - low
        square = rest * rest
        polynomial: Any = 0.0
        for coefficient in _EXP_POLYNOMIAL:
            polynomial = coefficient + square * polynomial
        c = rest - square * polynomial
        small = 1.0 - ((rest * c) / (c - 2.0) - rest)
        reduced = 1.0 - ((low - (rest * c) / (2.0 - c)) - high)
        result = np.where(steps == 0, small, np.ldexp(reduced, steps.astype(np.int64)))
        result = np.where(size < 2.0**-28, 1.0 + x, result)
        result = np.where(x > 7.09782712893383973096e02, np.inf, result)
        result = np.where(x < -7.45133219101941108420e02, 0.0, result)
        return np.where(np.isnan(x), x, result)


def cbrt(x: Doubles) -> Doubles:
    """Cube root: a table-free estimate from the exponent, then one Newton step."""
    with np.errstate(all="ignore"):
        size = np.abs(x)
        tiny = size < 2.2250738585072014e-308
        scaled = np.where(tiny, size * 2.0**54, size)
        words = (scaled.view(np.int64) >> 32).astype(np.int64)
        estimate = ((words // 3 + np.where(tiny, 696219795, 715094163)) << 32).view(np.float64)
        r = estimate * estimate / size
        s = 5.42857142857142815906e-01 + r * estimate
        t = estimate * (
            3.57142857142857150787e-01
            + 1.60714285714285720630e00 / (s + 1.41428571428571436819e00 + -7.05306122448979611050e-01 / s)
        )
        t = ((((t.view(np.int64) >> 32) + 1) << 32).astype(np.int64)).view(np.float64)
        r = size / (t * t)
        t = t + t * ((r - t) / (t + t + r))
        return np.where((size == 0) | ~np.isfinite(size), x, np.copysign(t, x))


_EXPM1_POLYNOMIAL = (
    -2.01099218183624371326e-07, 4.00821782732936239552e-06, -7.93650757867487942473e-05,
    1.58730158725481460165e-03, -3.33333333333331316428e-02,
)  # fmt: skip


def expm1(x: Doubles) -> Doubles:
    """e**x - 1 without cancellation near zero."""
    with np.errstate(all="ignore"):
        size = np.abs(x)
        half = 0.5 * 0.69314718055994530942
        near = size < 1.5 * 0.69314718055994530942
        steps = np.where(near, np.sign(x), np.trunc(_INVERSE_LN2 * x + np.copysign(0.5, x)))
        steps = np.nan_to_num(np.clip(np.where(size > half, steps, 0.0), -2000, 2000))
        high, low = x - steps * _LN2_HIGH, steps * _LN2_LOW
        rest = high - low
        c = np.where(steps == 0, 0.0, (high - rest) - low)
        halved = 0.5 * rest
        square = rest * halved
        polynomial: Any = 0.0
        for coefficient in _EXPM1_POLYNOMIAL:
            polynomial = coefficient + square * polynomial
        r1 = 1.0 + square * polynomial
        t = 3.0 - r1 * halved
        e = square * ((r1 - t) / (6.0 - rest * t))
        small = rest - (rest * e - square)
        e = rest * (e - c) - c - square
        k = steps.astype(np.int64)
        scale = np.ldexp(1.0, np.minimum(k, 1023))
        inverse = np.ldexp(1.0, -np.clip(k, -1000, 1000))
        minus = 0.5 * (rest - e) - 0.5
        plus = np.where(rest < -0.25, -2.0 * (e - (rest + 0.5)), 1.0 + 2.0 * (rest - e))
        outer = scale * (1.0 - (e - rest)) - 1.0
        middle = scale * ((1.0 - inverse) - (e - rest))
        upper = scale * ((rest - (e + inverse)) + 1.0)
        general = np.where((k <= -2) | (k > 56), outer, np.where(k < 20, middle, upper))
        result = np.where(k == 0, small, np.where(k == -1, minus, np.where(k == 1, plus, general)))
        result = np.where(size < 2.0**-54, x, result)
        result = np.where(x > 7.09782712893383973096e02, np.inf, result)
        result = np.where(x < -56 * 0.69314718055994530942, -1.0, result)
        return np.where(np.isnan(x), x, result)
