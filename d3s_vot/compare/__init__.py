"""Several trackers on one video: a film, a table and a page that show where they agree and where they part."""
