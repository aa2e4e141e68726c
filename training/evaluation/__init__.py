"""What is measured: verification, protection, and what of a change can be seen."""
