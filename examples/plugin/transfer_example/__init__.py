"""Parts of every kind for Transfer Warehouse, one file each."""
