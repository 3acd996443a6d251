"""What happens later: deletion and garbage. Nobody imports this package; tasks are rung by name."""
