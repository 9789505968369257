"""`drawdown simulate`: the real folds over one scenario file, with no broker and no Redis."""
