"""How long a graph takes: predicted from measured fused units, measured directly, or by a user's command."""
