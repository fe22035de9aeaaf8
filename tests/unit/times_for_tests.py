"""What is made of series along time, slowly and obviously."""

import datetime

import numpy as np

from parcelle.temporal import Smoother


def of_days(days, values, valid):
    """Slowly: per day, pixel and band, the mean of what is valid; integers are rounded to the nearest even."""
    result = {}
    for day in sorted(set(days.tolist())):
        here = np.flatnonzero(days == day)
        for pixel in range(values.shape[2]):
            seen = [a for a in here if valid[a, pixel]]
            if seen:
                means = [np.mean([float(values[a, k, pixel]) for a in seen]) for k in range(values.shape[1])]
                whole = values.dtype == np.int16
                result[day, pixel] = [round(m) if whole else np.float32(m) for m in means]
    return result


def period_of(day, by):
    date = datetime.date.fromordinal(day)
    return (date.year, date.month, 0 if by == "month" else min((date.day - 1) // 10, 2))


def combined(found, method, whole):
    """Slowly: one observation ``[band]`` of several ``[date][band]``."""
    if method == "medoid":
        sums = [
            sum(np.sqrt(sum((float(x) - float(y)) ** 2 for x, y in zip(a, b, strict=True))) for b in found)
            for a in found
        ]
        return found[sums.index(min(sums))]
    reduce = np.mean if method == "mean" else np.median
    values = [float(reduce([float(date[k]) for date in found])) for k in range(len(found[0]))]
    return [np.floor(v + 0.5) if whole else np.float32(v) for v in values]


def smoothed(series, filling):
    """Smooth series (date, band, pixel)."""
    planes = np.ascontiguousarray(series).reshape(-1, series.shape[2])
    Smoother(filling, len(series)).smooth(planes, series.shape[1])
    return planes.reshape(series.shape)


def nearest(values, valid, days, targets, within):
    """Slowly: of one series, the nearest valid observation, of two the earlier; 0 where none is near enough."""
    result = []
    for target in targets:
        near = [(abs(int(d) - int(target)), int(d), v) for d, v, ok in zip(days, values, valid, strict=True) if ok]
        distance, _, value = min(near, default=(np.inf, 0, 0))
        result.append(value if distance <= within else 0)
    return result
