"""Statistics that several operators learn: counts, histograms, moments, values by key."""
