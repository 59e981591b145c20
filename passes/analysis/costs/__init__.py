"""What a target counts, as a function of group widths."""
