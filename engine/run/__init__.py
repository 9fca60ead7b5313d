"""What was asked, in which order, where it runs, and what is committed."""
