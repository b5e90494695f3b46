"""What a raw value means: one set of rules for the ingest, the client and file scoring.

`rules.ValueRules` are a log's settings; `take.take` applies them to a column of any type and kind.
`plain` does the same for columns that leave no doubt, without Polars; `text_values` says what one
text means. Nothing here runs inside the server, which gets values in the wire's form.
"""
