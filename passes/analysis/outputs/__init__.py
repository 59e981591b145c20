"""What outputs are made of: the tensors that they are judged by, and the axes along which their entries differ."""
