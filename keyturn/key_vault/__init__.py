"""The MEK as a rotation changes it: the vault's budget, a new version, and versions disabled and enabled again."""
