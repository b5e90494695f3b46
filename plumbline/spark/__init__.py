"""ETL on Spark: tasks read, count and encode rows; the driver writes the plan.

pyspark is imported inside this package alone, and only by what runs with `--engine spark`.
"""
