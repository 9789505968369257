-- Every statement of the bench's usage once; `key` is 128 bits of BLAKE2b over subject, source and id.
CREATE TABLE usage (
    key uuid PRIMARY KEY,
    account text NOT NULL,
    nano bigint NOT NULL
);

-- Half of each page is left free, so that an updated row stays on its page (HOT) and no index changes.
CREATE TABLE balances (
    account text PRIMARY KEY,
    issued bigint NOT NULL,
    consumed bigint NOT NULL,
    promo bigint NOT NULL CHECK (promo >= 0),
    main bigint NOT NULL CHECK (main >= 0),
    overage bigint NOT NULL CHECK (overage >= 0)
) WITH (fillfactor = 50);

-- Alerts that the relay has yet to send.
CREATE TABLE outbox (
    id text PRIMARY KEY,
    account text NOT NULL,
    type text NOT NULL
);

-- The next offset of each partition of the usage topic.
CREATE TABLE positions (
    partition integer PRIMARY KEY,
    next bigint NOT NULL
);
