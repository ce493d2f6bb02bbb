"""A plane round the answer: azimuthal equidistant, so that circles round the answer stay circles.

References
----------
J. P. Snyder, Map Projections: A Working Manual, USGS Professional Paper 1395, chapter 25 (spherical form).
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

# Mean radius of the Earth, metres (IUGG R1). The ellipsoid differs from the sphere by less than 0.4 %: not to be seen.
EARTH_RADIUS_M = 6_371_008.8

Plane = npt.NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Projection:
    """Metres on a plane that touches the Earth at (latitude_deg, longitude_deg); x grows east, y grows south."""

    latitude_deg: float
    longitude_deg: float

    def project(self, places_deg: Plane) -> Plane:
        """Places on the plane: (n, 2) float64, metres east and south.

        Parameters
        ----------
        places_deg
            (n, 2) float64, latitude and longitude, degrees.

        Examples
        --------
        >>> Projection(52.0, -8.0).project(np.array([[52.01, -8.0]])).round(0).tolist()
        [[0.0, -1112.0]]
        """
        latitude, longitude = np.radians(places_deg).T
        origin = math.radians(self.latitude_deg)
        east = np.remainder(longitude - math.radians(self.longitude_deg) + np.pi, 2 * np.pi) - np.pi
        # Differences first: near the origin the textbook's cosines would lose the metres.
        half = np.sin((latitude - origin) / 2) ** 2 + math.cos(origin) * np.cos(latitude) * np.sin(east / 2) ** 2
        angle = 2 * np.arcsin(np.sqrt(np.clip(half, 0.0, 1.0)))
        stretch = EARTH_RADIUS_M / np.sinc(angle / np.pi)
        # The antipode is a circle, not a point: one of its points must do.
        stretch = np.where(np.isfinite(stretch), stretch, EARTH_RADIUS_M * 1e6)
        x_m = stretch * np.cos(latitude) * np.sin(east)
        rise = np.sin(latitude - origin) + 2 * math.sin(origin) * np.cos(latitude) * np.sin(east / 2) ** 2
        return np.column_stack([x_m, -stretch * rise])


@dataclass(frozen=True, slots=True)
class Box:
    """A rectangle on the plane, metres."""

    left_m: float
    top_m: float
    right_m: float
    bottom_m: float

    @staticmethod
    def around(points_m: Plane, *, margin: float, least_m: float) -> Box:
        """The rectangle round the points, wider by `margin` of its size, and at least `least_m` wide and high.

        >>> Box.around(np.array([[0.0, 0.0], [10.0, 20.0]]), margin=0.5, least_m=16.0)
        Box(left_m=-5.0, top_m=-10.0, right_m=15.0, bottom_m=30.0)
        """
        left, top = points_m.min(axis=0)
        right, bottom = points_m.max(axis=0)
        across = max((right - left) * (1 + 2 * margin), least_m) / 2
        along = max((bottom - top) * (1 + 2 * margin), least_m) / 2
        x_m, y_m = (left + right) / 2, (top + bottom) / 2
        return Box(float(x_m - across), float(y_m - along), float(x_m + across), float(y_m + along))

    def text(self) -> str:
        """The four numbers for a data attribute.

        >>> Box(-1.0, -2.0, 3.0, 4.0).text()
        '-1 -2 3 4'
        """
        return " ".join(f"{value:.12g}" for value in (self.left_m, self.top_m, self.right_m, self.bottom_m))
