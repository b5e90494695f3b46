"""What the patched operators share: columns of frames, files, and reductions over partitions."""
