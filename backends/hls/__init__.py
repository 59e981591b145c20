"""The second exit: a network as fixed-point streaming hardware, handed over as an hls4ml project."""
