"""Files of a coverage dataset, and the columns of their tables.

Cells, bins, rows and places are known by their numbers: a cell's row in the `cell_*` arrays, and so on.
"""

from __future__ import annotations

# Cells, by identity; one identity several times where it is heard in places far apart.
CELL_IDENTITY, CELL_START, CELL_SPLIT = "cell_identity", "cell_start", "cell_split"
CELL_PLACE, CELL_STATS, CELL_AREA, CELL_RESOLUTION = "cell_place", "cell_stats", "cell_area", "cell_resolution"
# Rows, by cell, role (serving first) and bin.
ROW_BIN, ROW_STATS = "row_bin", "row_stats"
# Bins, by H3 cell; those of the finest resolution, which come last, are the places.
BIN_H3, BIN_PLACE, BIN_FIRST, BIN_LAST = "bin_h3", "bin_place", "bin_first", "bin_last"
# Cells heard at each place, by place and cell.
PLACE_START, HEARD_CELL, HEARD_STATS = "place_start", "heard_cell", "heard_stats"
# Scans at each place, by place and network.
SCAN_START, SCAN_NETWORK, SCAN_STATS = "scan_start", "scan_network", "scan_stats"
# Share of each place's reports in each of its 7 children, by their H3 digit: where in it the road is.
PLACE_CHILD = "place_child"
# Channel and pci of cells with a full identity, as physical identities; and the order by those.
LINK_FULL, LINK_PHYSICAL, LINK_REPORTS, LINK_ORDER = "link_full", "link_physical", "link_reports", "link_order"
GROUPS = ("site", "area", "network")

# Columns of row_stats.
(
    R_WEIGHT, R_REPORTS, R_VISITS, R_LISTED, R_LEVEL, R_LEVEL_SD, R_QUALITY, R_QUALITY_SD, R_ADVANCE, R_ADVANCE_SD,
) = range(10)  # fmt: skip
ROW_WIDTH = 10
# Columns of heard_stats.
H_WEIGHT, H_REPORTS, H_VISITS, H_LISTED, H_SERVING, H_LEVEL, H_LEVEL_SD = range(7)
HEARD_WIDTH = 7
# Columns of scan_stats.
S_WEIGHT, S_REPORTS, S_VISITS, S_LISTED, S_CELLS = range(5)
SCAN_WIDTH = 5
# Columns of cell_stats.
(
    C_WEIGHT, C_REPORTS, C_VISITS, C_SERVING, C_SPREAD_M, C_RADIUS_M, C_LEVEL, C_LEVEL_SD, C_ADVANCE_RATE,
    C_AGE_DAYS, C_PASSES,
) = range(11)  # fmt: skip
CELL_WIDTH = 11
# Columns of {site,area,network}_stats.
G_LATITUDE, G_LONGITUDE, G_RADIUS_M, G_SPREAD_M, G_CELLS, G_WEIGHT = range(6)
GROUP_WIDTH = 6


def group_files(level: str) -> tuple[str, str, str, str]:
    """Names of a level's files: keys ascending, starts into the members, members (cell numbers), circles."""
    return f"{level}_key", f"{level}_start", f"{level}_cells", f"{level}_stats"


def shelf_file(number: int) -> str:
    """Name of a file of tallies."""
    return f"tallies-{number:02d}.npz"
