"""Recipe files that ship: ``compress -c NAME`` follows one."""
