"""Plumbline as a library: fit a workflow, encode and score frames, in a notebook or a program.

`plumbline.fit`, `plumbline.Plan` and `plumbline.Model` are the public names. They run the code of
the commands and of the server, so their values are the server's.
"""
