"""The life of a run of any kind: one record, one lease, one fence, one state machine."""
