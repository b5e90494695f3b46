"""Text files: what they are, unpacked and decoded, cut into blocks, rows and fields."""
