"""Every table of a run as data: its columns with their types and units, and the key of its rows."""

from collections.abc import Mapping

from .columns import Column, Table, count, flag, measured, number, text

__all__ = ["TABLES", "Column", "Table"]

UNITS = {"ndvi": "", "wet": "", "ndbsi": "", "lst": "K"}
"""The four indicators, and the unit of each."""

AREA = text("area", "Name of the area")
ZONE = text("zone", "Part of the area: area, mines or outside")
EPOCH = count("epoch", "Middle year of the three")
EPOCH_OR_ALL = text("epoch", "Middle year of the three, or all for the multi-year mean")
FROM, TO = count("from_epoch", "Earlier epoch"), count("to_epoch", "Later epoch")
DRIVER = text("driver", "Driver of the index")
N = count("n", "Number of pixels")
COVERAGE = number("n", "Number of pixels; in a zone of polygons the sum of their covered shares")
MEAN, STD = measured("mean", "Mean RSEI"), measured("std", "Standard deviation of RSEI, ddof 0")

OF_THE_RUN = (
    Table(
        "coverage",
        "Composites that the season should have, and what became of them",
        ("product", "date", "tile"),
        (
            text("product", "Product"),
            text("date", "First day of the period, ISO 8601"),
            text("tile", "Tile, or name of the grid"),
            text("status", "present, missing or bad"),
        ),
    ),
    Table(
        "quality",
        "Pixel-dates lost to each rule of the quality policy",
        ("tile", "year", "product", "reason"),
        (
            text("tile", "Tile, or name of the grid"),
            count("year", "Year of the season"),
            text("product", "Product, or role, of the granules"),
            text("reason", "Layer and field that were not accepted"),
            count("n", "Pixel-dates lost"),
        ),
    ),
)

OF_THE_INDEX = (
    Table(
        "pca",
        "Principal components of the four indicators: how the index of an epoch is made",
        ("area", "epoch"),
        (
            AREA,
            EPOCH,
            text("normalisation", "Scope of the indicators' limits"),
            text("pca", "Scope of the components"),
            N,
            *(measured(name, f"Loading of {name} on PC1, unit norm, as used") for name in UNITS),
            *(measured(f"pc{i}", f"Contribution of PC{i}", "%") for i in range(1, 5)),
            text("direction", "Rule that chose the sign"),
            flag("flipped", "Turned against the vector whose largest component is positive"),
            flag("agreement", "Whether every rule chooses this sign"),
            measured("v_dot_e", "Product of the loadings and the expected signs"),
            *(
                measured(f"{name}_{side}", f"{name} that becomes {value}", unit)
                for name, unit in UNITS.items()
                for side, value in (("min", 0), ("max", 1))
            ),
            measured("rsei0_min", "PC1 that becomes RSEI 0"),
            measured("rsei0_max", "PC1 that becomes RSEI 1"),
        ),
    ),
    Table(
        "directions",
        "What each rule says of the sign of PC1",
        ("area", "epoch", "rule"),
        (
            AREA,
            EPOCH,
            text("rule", "Rule of the direction"),
            count("sign", "1 keeps the canonical vector, -1 turns it", blank=True),
            measured("margin", "How clearly: the quantity whose sign decides"),
        ),
    ),
    Table(
        "exclusions",
        "Pixels of an area's rectangle that do not enter, by the first reason that applies",
        ("area", "epoch", "reason"),
        (AREA, EPOCH, text("reason", "Why"), N),
    ),
    Table(
        "extremes",
        "The pixels that set the limits",
        ("area", "epoch", "layer", "side"),
        (
            AREA,
            EPOCH,
            text("layer", "Indicator, or rsei0"),
            text("side", "min or max"),
            measured("value", "Its value, in the layer's unit"),
            measured("x", "x of the pixel's centre, in the CRS of the rasters"),
            measured("y", "y of the pixel's centre, in the CRS of the rasters"),
            measured("lon", "Longitude of the pixel's centre", "degrees"),
            measured("lat", "Latitude of the pixel's centre", "degrees"),
        ),
    ),
)

OF_THE_AREAS = (
    Table(
        "series",
        "RSEI of each area and zone by epoch",
        ("area", "zone", "epoch"),
        (
            AREA,
            ZONE,
            EPOCH_OR_ALL,
            COVERAGE,
            MEAN,
            STD,
            measured("min", "Least RSEI"),
            *(measured(f"p{p}", f"Percentile {p} of RSEI") for p in (5, 25)),
            measured("median", "Median of RSEI"),
            *(measured(f"p{p}", f"Percentile {p} of RSEI") for p in (75, 95)),
            measured("max", "Greatest RSEI"),
        ),
    ),
    Table(
        "latitude",
        "RSEI and mines by latitude",
        ("area", "epoch", "latitude"),
        (
            AREA,
            EPOCH_OR_ALL,
            number("latitude", "Centre of a bin 0.1 degrees wide", "degrees"),
            N,
            MEAN,
            STD,
            count("mines", "Mines whose representative point is in the bin"),
        ),
    ),
    Table(
        "rings",
        "RSEI in rings of 1 km around the mines",
        ("area", "epoch", "ring_km"),
        (
            AREA,
            EPOCH_OR_ALL,
            count("ring_km", "0 inside the mines; k from k-1, excluded, to k", "km"),
            COVERAGE,
            MEAN,
            STD,
        ),
    ),
    Table(
        "mines",
        "RSEI of each mine",
        ("area", "mine", "epoch"),
        (
            AREA,
            count("mine", "Number of the mine in its file, from 0"),
            EPOCH_OR_ALL,
            number("area_km2", "Its area", "km2"),
            text("size_class", "Class of its area"),
            number("coverage_px", "Pixels that it covers, shares added"),
            measured("mean", "Its mean RSEI, weighted by coverage"),
        ),
    ),
    Table(
        "densities",
        "Distribution of RSEI",
        ("area", "zone", "epoch", "low"),
        (
            AREA,
            ZONE,
            EPOCH_OR_ALL,
            number("low", "Lower edge of the class"),
            number("high", "Upper edge of the class"),
            COVERAGE,
            measured("density", "Share of the pixels per unit of RSEI"),
        ),
    ),
    Table(
        "grades",
        "Pixels in each grade of RSEI",
        ("area", "zone", "epoch", "grade"),
        (
            AREA,
            ZONE,
            EPOCH_OR_ALL,
            text("grade", "poor, fair, moderate, good or excellent, or one of ten classes"),
            number("low", "Lower edge, included"),
            number("high", "Upper edge, included in the last grade alone"),
            COVERAGE,
            measured("share", "Share of the zone's pixels"),
        ),
    ),
    Table(
        "transitions",
        "Pixels that went from one grade to another",
        ("area", "from_epoch", "to_epoch", "from_grade", "to_grade"),
        (AREA, FROM, TO, text("from_grade", "Grade before"), text("to_grade", "Grade after"), N),
    ),
    Table(
        "change",
        "Difference of RSEI between two epochs",
        ("area", "zone", "from_epoch", "to_epoch"),
        (
            AREA,
            ZONE,
            FROM,
            TO,
            COVERAGE,
            measured("mean", "Mean difference"),
            measured("std", "Standard deviation of the difference, ddof 0"),
            measured("improved", "Share of the pixels that gained"),
            measured("degraded", "Share of the pixels that lost"),
        ),
    ),
    Table(
        "ring_fits",
        "Models of RSEI by distance to the mines, fitted to the multi-year mean",
        ("area", "epoch", "model", "term"),
        (
            AREA,
            EPOCH_OR_ALL,
            text("model", "Form of the curve"),
            text("term", "Coefficient, or a figure of the fit"),
            measured("value", "Its value"),
        ),
    ),
    Table(
        "breakpoints",
        "Distances at which RSEI stops to change",
        ("area", "epoch", "breakpoint"),
        (
            AREA,
            EPOCH_OR_ALL,
            count("breakpoint", "Number of the breakpoint, from 1"),
            measured("ring_km", "Its distance", "km"),
            measured("low", "Lower end of its 95 % interval", "km"),
            measured("high", "Upper end of its 95 % interval", "km"),
        ),
    ),
    Table(
        "trends",
        "Trend of RSEI over the epochs",
        ("area", "zone"),
        (
            AREA,
            ZONE,
            count("n", "Number of epochs"),
            measured("slope", "Sen's slope", "1/year"),
            measured("tau", "Kendall's tau"),
            measured("p", "p of the Mann-Kendall test"),
        ),
    ),
)

OF_THE_DRIVERS = (
    Table(
        "drivers",
        "RSEI and its drivers, one row a pixel of the drivers' grid",
        ("area", "x", "y"),
        (
            AREA,
            number("x", "x of the pixel's centre", "m"),
            number("y", "y of the pixel's centre", "m"),
            measured("rsei", "RSEI, bilinear"),
            measured("dem", "Elevation", "m"),
            measured("slope", "Slope", "degrees"),
            measured("prec", "Annual precipitation", "mm"),
            measured("gdp", "Gross domestic product"),
            measured("ntl", "Night lights"),
            measured("elec", "Electricity consumption"),
            measured("co2", "CO2 emissions"),
            measured("pm25", "PM2.5 concentration"),
            measured("dism", "Distance to the nearest mine, round the coast", "m"),
            measured("minea", "Share of mines in a window of 10 x 10 pixels"),
            text("split", "train or valid; blank where a value is missing", blank=True),
        ),
        suffix="parquet",
    ),
    Table(
        "correlation",
        "Correlation of RSEI with each driver",
        ("area", "driver"),
        (
            AREA,
            DRIVER,
            N,
            measured("pearson", "Pearson's r"),
            measured("p", "Its p, as if pixels were independent"),
            measured("n_eff", "Effective number of pixels, given spatial autocorrelation"),
            measured("p_eff", "p with that number"),
            measured("spearman", "Spearman's rank correlation"),
        ),
    ),
    Table(
        "vif",
        "Variance inflation of the drivers",
        ("area", "driver"),
        (AREA, DRIVER, measured("vif", "Variance inflation factor")),
    ),
    Table(
        "moran",
        "Spatial autocorrelation",
        ("area", "variable"),
        (
            AREA,
            text("variable", "rsei, a driver, or residual"),
            N,
            measured("i", "Moran's I"),
            measured("expected", "I without autocorrelation"),
            measured("z", "Standardised I"),
            measured("p", "p of the permutation test"),
        ),
    ),
    Table(
        "geodetector",
        "Factor detector: how much of the variance of RSEI the strata of a driver hold",
        ("area", "driver"),
        (
            AREA,
            DRIVER,
            count("strata", "Number of strata"),
            N,
            measured("q", "Share of the variance"),
            measured("p", "Its p, noncentral F"),
        ),
    ),
)

OF_THE_FOREST = (
    Table(
        "forest",
        "The forest of each area, and how well it predicts",
        ("area",),
        (
            AREA,
            count("trees", "Number of trees"),
            count("mtry", "Drivers tried at a split"),
            count("n_train", "Pixels trained on"),
            count("n_valid", "Pixels kept for validation"),
            measured("var_explained", "Variance explained, out of bag", "%"),
            measured("r2", "R2 on the validation pixels"),
            measured("rmse", "Root mean square error on them"),
            measured("mae", "Mean absolute error on them"),
            measured("r2_block", "R2 in cross-validation by spatial blocks"),
        ),
    ),
    Table(
        "importance",
        "Importance of each driver",
        ("area", "driver", "estimator"),
        (
            AREA,
            DRIVER,
            text("estimator", "oob or validation"),
            measured("raw", "Mean increase of the squared error when it is permuted"),
            measured("se", "Its standard error over the trees"),
            measured("scaled", "raw / se, which R calls %IncMSE"),
            measured("inc_node_purity", "Squared error that its splits remove, a tree"),
            measured("rank", "Rank by scaled; equal ones share the mean"),
        ),
    ),
    Table(
        "ranking",
        "The drivers over all areas",
        ("driver",),
        (
            DRIVER,
            number("rank_sum", "Sum of its ranks"),
            number("rank", "Rank of that sum; equal ones share the mean"),
        ),
    ),
    Table(
        "block_cv",
        "Cross-validation of the forest by spatial blocks",
        ("area", "fold"),
        (
            AREA,
            count("fold", "Number of the fold, from 0"),
            N,
            measured("r2", "R2 on the fold"),
            measured("rmse", "Root mean square error"),
            measured("mae", "Mean absolute error"),
        ),
    ),
    Table(
        "ale",
        "Accumulated local effect of each driver on the predicted RSEI",
        ("area", "driver", "value"),
        (
            AREA,
            DRIVER,
            number("value", "Value of the driver, in its unit"),
            measured("effect", "Effect on RSEI, centred"),
            count("n", "Pixels of the interval that ends here"),
        ),
    ),
)

TABLES: Mapping[str, Table] = {
    table.name: table
    for table in (*OF_THE_RUN, *OF_THE_INDEX, *OF_THE_AREAS, *OF_THE_DRIVERS, *OF_THE_FOREST)
}
"""Every table of a run, by name."""
