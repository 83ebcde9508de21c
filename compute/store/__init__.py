"""What is kept: artifacts, landed rows, the warehouse and its published copy."""
