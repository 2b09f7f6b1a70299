"""VOT: workspaces of the toolkit, experiments, measures, results."""
