"""`drawdown demo`: the whole pipeline here, on a generated day of usage, and its proof."""
