"""How a stage folds its log: positions, checked rows in Redis, outputs, and the Faust host.

Shared by rating (`processors`) and balances (`projections`): the protocol of architecture.md
section 3 is written once. A stage brings a `Fold` (`projections.fold.stage`), which is pure.
"""
