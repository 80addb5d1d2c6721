"""Weights of the signals where a repository has too little history of its own: numbers only.

Made by ``learning.pooled`` from the training parts (the older four fifths) of eleven open repositories, each
counting the same; their held-out parts were not looked at.
"""

from weaver_forge.links.impact.weights import Weights

PRIOR = Weights.from_data({
    "names": [
        "cochange",
        "cochange_small",
        "cochange_newest",
        "cochange_half_year",
        "cochange_year_small",
        "jaccard",
        "reverse",
        "cosine",
        "together",
        "ever_together",
        "popular_8",
        "popular_40",
        "popular_250",
        "popular",
        "recent_changes",
        "recent_days",
        "folder_cochange",
        "folder_cochange_newest",
        "extension_cochange",
        "extension_cochange_newest",
        "stem_cochange",
        "stem_cochange_newest",
        "author",
        "author_today",
        "path_words",
        "path_prefix",
        "same_folder",
        "same_extension",
        "same_stem",
        "same_folder_extension",
        "same_folder_popular",
    ],
    "mean": [
        -5.93558, -6.35481, -5.85929, -5.79882, -6.06193, 0.03267, 0.10073, 0.0637, 0.53761, 0.41816, -6.2349,
        -5.3106, -5.04248, -4.90446, -4.09347, -3.7832, -5.80863, -6.04816, -5.99572, -6.27326, -5.57095, -5.78954,
        -3.08488, -3.66796, 0.10991, 0.48833, 0.1692, 0.57204, 0.03032, 0.14122, 0.64343,
    ],
    "scale": [
        3.39162, 2.80745, 2.85877, 3.04326, 2.95626, 0.08701, 0.20308, 0.12533, 0.777, 0.49326, 2.86191, 2.37214,
        1.71179, 1.3693, 1.95779, 2.21585, 3.40032, 2.83687, 3.52667, 2.86396, 3.20913, 2.76112, 1.42601, 0.8653,
        0.18755, 0.29637, 0.37493, 0.49478, 0.17147, 0.34825, 1.72583,
    ],
    "weight": [
        -0.7702, 0.9648, 0.1167, -0.1729, 0.3935, -0.0626, -0.0283, 0.1131, 0.3521, -0.1403, -0.1756, 0.1704, -0.0287,
        -0.2997, 0.337, 0.0788, 0.1545, 0.305, -0.0008, 0.1273, -0.2514, 0.5297, 0.2945, 0.0576, 0.2541, 0.1336,
        0.2624, -0.0012, 0.0449, -0.1307, -0.205,
    ],
    "slope": 1.0507,
    "shift": 1.9048,
})  # fmt: skip
"""The pooled prior."""
