"""What a listener costs: times, rates and memory, and the machine they were measured on."""
