"""Text files: recognized, decompressed, decoded, and cut into blocks, rows and fields."""
