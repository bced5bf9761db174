"""CloudWatch: the dashboard and the alarms over the gateway's metrics."""
