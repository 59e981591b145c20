"""Hand-over of a network as hardware: settings, checks, report and plots of an hls4ml project."""
