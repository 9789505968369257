"""The dashboard Credits and customers: what is used, what is left, what it earns."""

from typing import Final

from deploy.grafana.panel import RATE, Dashboard, Panel, Row, graph, stat

_ACCOUNTS: Final = Row(
    "Accounts",
    (
        stat("Accounts", "All accounts.", "short", "sum(drawdown_accounts)"),
        stat(
            "Below a threshold",
            "Accounts beyond a threshold of one of their alert rules.",
            "short",
            "sum(drawdown_low_accounts)",
        ),
        stat(
            "Depleted",
            "Accounts that had credits and have none available.",
            "short",
            "sum(drawdown_depleted_accounts)",
        ),
        stat(
            "Overdrawn",
            "Accounts with unsettled overage.",
            "short",
            "sum(drawdown_overdrawn_accounts)",
        ),
        stat(
            "Grants that expire in 7 days",
            "Active grants with credits left.",
            "short",
            "sum(drawdown_expiring_grants)",
        ),
        stat(
            "Credits that expire in 7 days",
            "What is left in these grants.",
            "short",
            "sum(drawdown_expiring_credits)",
        ),
    ),
)
_CREDITS: Final = Row(
    "Credits",
    (
        graph(
            "Consumed by product",
            "Credits an hour, drawn from grants or as overage. The first 100 products that a worker"
            " meets have their name, all others are `other`.",
            "short",
            f"3600 * sum by (product) (rate(drawdown_consumed_credits_total{RATE}))",
            "{{product}}",
        ),
        graph(
            "Consumed, by who pays",
            "Credits an hour: from grants, from reopened ones, or as overage.",
            "short",
            f"3600 * sum by (posting) (rate(drawdown_consumed_credits_total{RATE}))",
            "{{posting}}",
        ),
        graph(
            "Given back",
            "Credits an hour that voided or corrected lines returned.",
            "short",
            f"3600 * sum(rate(drawdown_returned_credits_total{RATE})) or vector(0)",
            "returned",
        ),
        graph(
            "Available",
            "Credits left in active grants.",
            "short",
            "sum(drawdown_available_credits)",
            "available",
        ),
        graph(
            "Unsettled overage",
            "Credits used beyond the grants and not settled yet, by partition.",
            "short",
            "sum by (partition) (drawdown_unsettled_overage_credits)",
            "partition {{partition}}",
        ),
        graph(
            "Alerts",
            "Alerts emitted in an hour, by type. What never happened is left out.",
            "short",
            "sum by (type) (increase(drawdown_alerts_total[1h])) > 0",
            "{{type}}",
        ),
    ),
)


def _money(title: str, description: str, part: str) -> Panel:
    expr = f'sum by (currency) (drawdown_cost_basis_money{{part="{part}"}})'
    return graph(title, description, "short", expr, "{{currency}}")


_MONEY: Final = Row(
    "Money, at cost basis",
    (
        _money(
            "Revenue", "What was paid for the credits consumed so far, by currency.", "consumed"
        ),
        _money("Deferred", "What was paid for the credits that remain, by currency.", "remaining"),
        _money(
            "Breakage", "What was paid for credits that expired unused, by currency.", "expired"
        ),
    ),
)
_FRESH: Final = Row(
    "How fresh this is",
    (
        stat(
            "Age of the figures of accounts",
            "Since the exporter last read all rows, of the partition read longest ago.",
            "s",
            "time() - min(drawdown_scan_timestamp_seconds)",
            warn=900,
            alarm=1800,
            width=12,
        ),
        stat(
            "Longest reading of a partition",
            "How long the exporter took for the rows of one partition.",
            "s",
            "max(drawdown_scan_seconds)",
            width=12,
        ),
    ),
)

CREDITS: Final = Dashboard(
    "drawdown-credits",
    "credits",
    "Drawdown / Credits and customers",
    "What customers use, what they have left, what it earns. Figures of accounts are as of the"
    " exporter's last reading; the ledger is the truth.",
    (_ACCOUNTS, _CREDITS, _MONEY, _FRESH),
)
