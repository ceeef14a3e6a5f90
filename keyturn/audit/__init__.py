"""The audit chain of a rotation: CloudEvents linked by hashes, so that no event can be changed or removed unseen."""
