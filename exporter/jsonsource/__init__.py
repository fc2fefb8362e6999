"""Numbers out of what programs write as JSON: documents, lines of a log, answers over HTTP; knows no metric of ours."""
