# SPDX-License-Identifier: Apache-2.0
"""How the results of a run were made, in words that may be cited, and what they stand on."""

from collections.abc import Mapping
from typing import Any

from .figures_study import limits, source, water
from .findings import Findings
from .wording import RULES

REFERENCES = {
    "Breiman 2001": "Breiman L (2001) Random forests. Machine Learning 45, 5-32.",
    "Clifford et al. 1989": "Clifford P, Richardson S, Hémon D (1989) Assessing the significance "
    "of the correlation between two spatial processes. Biometrics 45, 123-134.",
    "Lobser and Cohen 2007": "Lobser SE, Cohen WB (2007) MODIS tasselled cap: land cover "
    "characteristics expressed through transformed MODIS data. International Journal of Remote "
    "Sensing 28, 5079-5101.",
    "Mann 1945": "Mann HB (1945) Nonparametric tests against trend. Econometrica 13, 245-259.",
    "Sen 1968": "Sen PK (1968) Estimates of the regression coefficient based on Kendall's tau. "
    "Journal of the American Statistical Association 63, 1379-1389.",
    "Xu 2008": "Xu H (2008) A new index for delineating built-up land features in satellite "
    "imagery. International Journal of Remote Sensing 29, 4269-4276.",
    "Xu 2013": "Xu H (2013) A remote sensing index for assessment of regional ecological changes. "
    "China Environmental Science 33, 889-897.",
}
"""What the texts cite, by the words that cite it."""


def methods(findings: Findings) -> list[str]:
    """How the results were made, a paragraph each, ready to cite."""
    settings = findings.settings
    paragraphs = [_images(findings), _indicators(settings), _index(settings["rsei"])]
    if findings.of("series") is not None:
        paragraphs.append(_through_time(settings["analysis"]))
    if findings.of("mines") is not None:
        paragraphs.append(_mines(settings["analysis"]["rings"]))
    if findings.of("correlation") is not None:
        paragraphs.append(_drivers(settings["drivers"], [site.name for site in findings.sites]))
    if findings.of("forest") is not None:
        paragraphs.append(_forest(settings["forest"]))
    return paragraphs


def references(paragraphs: list[str]) -> list[str]:
    """The works that the texts cite, in the order of their authors."""
    text = " ".join(paragraphs)
    return [work for words, work in REFERENCES.items() if words in text]


def _images(findings: Findings) -> str:
    settings, version = findings.settings, findings.record["versions"].get("rsei", "")
    granules, quality = settings["granules"], settings["quality"]
    names = ", ".join(findings.products) or "the user's own rasters"
    first, last = granules["season"]
    years = 2 * granules["reach"] + 1
    span = "of that year" if years == 1 else f"of {years} years centred on it"
    own = f", with the user's own rules for {', '.join(quality['fields'])}"
    return (
        f"The remote sensing ecological index (RSEI; Xu 2013) was computed with rsei {version} "
        f"from MODIS composites ({names}; collection {granules['collection']}). Each epoch is the "
        f"mean of all valid observations of the season from {first} to {last} (month-day; "
        f"composites belonging by their {granules['membership']}) {span}, as the sum over the "
        "number of observations of each band. Observations were masked on the products' quality "
        f"bits (preset “{quality['preset']}”{own if quality['fields'] else ''}), each band by "
        "its own."
    )


def _indicators(settings: Mapping[str, Any]) -> str:
    return (
        f"Four indicators were derived: greenness ({_in_text(settings, 'greenness', 'NDVI')}), "
        "wetness (tasselled cap coefficients for MODIS; Lobser and Cohen 2007), dryness (NDBSI, "
        "the mean of soil index and index-based built-up index; Xu 2008) and heat "
        f"({_in_text(settings, 'heat', 'land surface temperature')}). Ratio indices needed a mean "
        f"reflectance of at least {settings['indicators']['floor']:g}. A pixel entered where all "
        f"four were valid and its centre lay in the area; {water(settings)}."
    )


def _in_text(settings: Mapping[str, Any], name: str, what: str) -> str:
    return source(settings, name, what).replace("\n", " ")


def _index(index: Mapping[str, Any]) -> str:
    return (
        f"The indicators were normalised ({limits(index)}; scope: {index['normalisation']}) and "
        f"reduced to the first principal component of their covariance (scope: {index['pca']}). "
        f"Its sign was chosen by the rule “{index['direction']}” "
        f"({RULES.get(index['direction'], '')}), the whole vector kept or turned. RSEI is that "
        "component scaled to 0 … 1, larger being better. Where the scope is one epoch, a change "
        "between epochs mixes real change with the scaling anew."
    )


def _through_time(analysis: Mapping[str, Any]) -> str:
    return (
        "Statistics of polygons weigh each pixel by its exact share in them. Densities are "
        "Gaussian kernel estimates; grades are five of 0.2 and classes ten of 0.1; profiles by "
        f"latitude have bins of {analysis['latitude_width']:g}°. Trends over at least four epochs "
        "are Theil-Sen slopes (Sen 1968) with the test of Mann and Kendall (Mann 1945), its p "
        f"corrected for many pixels to a share of {analysis['alpha']:g} of false discoveries."
    )


def _mines(rings: Mapping[str, Any]) -> str:
    planar = f"in the plane of {rings['crs']}, which keeps areas and not distances"
    ground = "on an equidistant projection about the area"
    return (
        "The index of a mine is the mean of its pixels, weighted by coverage; its area is that of "
        f"ESRI:102025. Rings of {rings['width_km']:g} km up to {rings['reach_km']:g} km hold the "
        "pixels whose centre lies at that distance from the nearest mine, measured "
        f"{planar if rings['metric'] == 'paper' else ground}. Their means were smoothed by local "
        f"regression (LOESS, span {rings['span']:g}), and the distance at which the rise stops is "
        "the break of two straight lines, with its 95 % interval."
    )


def _drivers(drivers: Mapping[str, Any], areas: list[str]) -> str:
    each = "each area" if len(areas) > 1 else "the area"
    return (
        f"Drivers of {drivers['year']} were brought to a grid of {drivers['resolution']:g} m in "
        f"{drivers['crs']}, the index by bilinear means of the valid pixels. Distance to the "
        "nearest mine goes from centre to centre, round the water where a coast is given. "
        f"Pearson's r of the index with each driver over the pixels of {each} stands beside "
        "Spearman's; its p is also given for the number of independent pixels that spatial "
        "autocorrelation leaves (Clifford et al. 1989)."
    )


def _forest(forest: Mapping[str, Any]) -> str:
    some = f" of a sample of at most {forest['sample']:,}" if forest.get("sample") else ""
    return (
        f"Random forests (Breiman 2001) of {forest['trees']} trees, {forest['mtry']} drivers tried "
        f"at a split, were grown on {100 * (1 - forest['validation']):.0f} % of the pixels{some}, "
        f"drawn at random (seed {forest['seed']}) and judged on the rest, and by cross-validation "
        f"in {forest['folds']} folds of blocks of {forest['block'] / 1000:g} km. Importance is "
        "R's %IncMSE (randomForest 4.7): the rise of the squared error when a driver is permuted, "
        "divided by its standard error over the trees."
    )
