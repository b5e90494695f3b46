"""Statistics that several operators share: counts, histograms, moments, keys."""
