"""Result files of several trackers on one data set: success and precision plots, tables, and a film of one sequence."""
