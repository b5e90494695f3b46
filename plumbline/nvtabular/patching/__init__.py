"""What the patched operators share: columns of frames, files, reductions over partitions."""
