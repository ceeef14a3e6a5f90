"""What writes tables of the docs and looks at the tree; nothing that is deployed or installed."""
