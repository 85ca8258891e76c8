"""The campaign of faults: `python -m performance.faults [--only kills,disk] [--count 10] [--seed 0] [--resume]`.

`campaign` is the command; each kind of fault is a module with a `KIND`; what they share begins with `_`: the study in
its folder (`_world`), one stage (`_processes`) and all that are stale (`_pipeline`), trials and comparison (`_trials`),
what a process meets (`_hooks`), the small disk, the MLflow server.
"""
