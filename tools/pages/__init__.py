"""Pages of one file each, for people: reports, fronts, differences."""
