"""What an accelerator does to the numbers and the time of a step."""
