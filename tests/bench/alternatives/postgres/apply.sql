-- The rows of `batch` become usage, balances and alerts. Only rows that are new count.
WITH fresh AS (
    INSERT INTO usage (key, account, nano)
    SELECT key, account, nano FROM batch ORDER BY key
    ON CONFLICT DO NOTHING
    RETURNING account, nano
),
spent AS (
    SELECT account, sum(nano)::bigint AS nano FROM fresh GROUP BY account
),
drawn AS (
    UPDATE balances AS b
    SET consumed = b.consumed + s.nano,
        promo = greatest(b.promo - s.nano, 0),
        main = b.main - least(b.main, greatest(s.nano - b.promo, 0)),
        overage = b.overage + greatest(s.nano - b.promo - b.main, 0)
    FROM spent AS s
    WHERE b.account = s.account
    RETURNING b.account, b.issued, b.issued - b.consumed + s.nano AS before, b.issued - b.consumed AS after
)
INSERT INTO outbox (id, account, type)
SELECT account || '/' || type, account, type
FROM drawn, LATERAL (VALUES ('low', issued / 5), ('depleted', 0)) AS alert (type, threshold)
WHERE before > threshold AND after <= threshold
