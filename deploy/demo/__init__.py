"""`drawdown demo`: the whole pipeline on this machine, on a generated day of usage, and its proof."""
