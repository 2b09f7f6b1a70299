"""Runs of many sequences: jobs on processes or clusters, results that a killed run goes on from."""
