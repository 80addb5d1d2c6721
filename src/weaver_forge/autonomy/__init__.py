"""What has been earned: from mature, verifiable outcomes to the level that an action may have.

Pure: outcomes and policy in, levels and reasons out; time is an argument. ``sequential`` has the statistics, valid
however often somebody looks; nothing here reads a ledger or a clock.
"""
