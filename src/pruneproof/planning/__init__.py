"""What a study that has not been run will take: counted from shapes, and timed by what a machine does in a second.

`asked` counts pictures and questions, `shapes` says how large a model is, `readings` and `work` count what has to be
computed, `machines` and `measuring` say how fast, and `report` prints it. Nothing here is needed to run a study.
"""
