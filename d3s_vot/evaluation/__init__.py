"""The field's benchmarks around the tracker: data sets, runs that can be left alone, measures, submissions."""
