"""The local actiontrail: takes signed CloudEvents and keeps them in the order in which they came."""
