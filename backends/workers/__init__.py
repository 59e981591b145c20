"""Where work is done beside this process: other processes here, or a Dask cluster."""
