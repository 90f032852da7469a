"""The viewer: a widget that fills while a job runs."""
