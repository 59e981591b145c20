"""What goes down a gradient: a loss with its slopes, and the steps along them."""
