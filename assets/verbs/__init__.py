"""What the command line can ask of the pipeline, a module a group of verbs."""
