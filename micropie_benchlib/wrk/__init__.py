"""wrk's command line, its exact figures and its text reports. It starts no wrk: load/ does."""
