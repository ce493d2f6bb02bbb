"""The datasets: import, publish, look up."""
