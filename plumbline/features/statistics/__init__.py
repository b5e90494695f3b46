"""Statistics that several operators learn: counts, histograms, moments, keys."""
