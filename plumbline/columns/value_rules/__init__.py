"""What a raw value means: one set of rules for the ingest, the client and file scoring.

`rules.ValueRules` are a log's settings; `take.take` applies them to a column of any type and kind.
`columns.plain` does the same for columns that leave no doubt, without Polars; `text_values` gives
the meaning of one text. Nothing here runs inside the server, which gets values as wire tensors.
"""
