"""What is told afterwards: the success criteria, the report, the README section, the decommission plan."""
