"""NVTabular graphs, the engine that runs them, and the compiler from a fitted graph to a plan.

The only package that imports NVTabular, Merlin Core, Dask and cuDF.
"""
