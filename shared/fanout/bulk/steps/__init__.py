"""The three steps of a job: plan, work, finish. Each can be run again after a crash."""
