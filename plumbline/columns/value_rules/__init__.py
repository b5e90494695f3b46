"""What a raw value means: one set of rules for the ingest, the client and file scoring.

`rules.ValueRules` are a log's settings. `convert.convert_column` applies them to a column of any
type and kind; `raw_columns.plain` does so without Polars for columns in common formats.
`text_values` reads a single text. Nothing here runs in the server, which gets wire tensors.
"""
