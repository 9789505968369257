package bench;

import java.nio.charset.StandardCharsets;
import java.security.MessageDigest;
import java.security.NoSuchAlgorithmException;
import java.util.HashMap;
import java.util.Map;
import org.apache.kafka.common.utils.Bytes;
import org.apache.kafka.streams.processor.api.Processor;
import org.apache.kafka.streams.processor.api.ProcessorContext;
import org.apache.kafka.streams.processor.api.Record;
import org.apache.kafka.streams.state.KeyValueStore;

/** Counts usage once, draws its cost from the account's balance, and says when little or nothing is left. */
final class Draw implements Processor<byte[], Usage, String, String> {
    private static final byte[] NOTHING = new byte[0];

    private final Prices prices;
    private final MessageDigest digest;
    private final Map<String, Balance> known = new HashMap<>(); // spares the store's cache a search
    private ProcessorContext<String, String> context;
    private KeyValueStore<Bytes, byte[]> seen;
    private KeyValueStore<String, Balance> balances;

    Draw(Prices prices) {
        this.prices = prices;
        try {
            digest = MessageDigest.getInstance("MD5"); // 128 bits, half the size of the key it stands for
        } catch (NoSuchAlgorithmException error) {
            throw new IllegalStateException(error);
        }
    }

    @Override
    public void init(ProcessorContext<String, String> context) {
        this.context = context;
        seen = context.getStateStore(Job.SEEN);
        balances = context.getStateStore(Job.BALANCES);
        known.clear(); // a task that begins again begins with what was committed
    }

    @Override
    public void process(Record<byte[], Usage> record) {
        Usage usage = record.value();
        if (seen.putIfAbsent(key(usage), NOTHING) != null) {
            return;
        }
        Balance before = known.get(usage.subject);
        if (before == null) {
            before = balances.get(usage.subject);
        }
        if (before == null) {
            throw new IllegalStateException("usage of an account without grants: " + usage.subject);
        }
        Balance after = before.draw(prices.cost(usage));
        balances.put(usage.subject, after);
        known.put(usage.subject, after);
        if (after.low() && !before.low()) {
            tell(usage.subject, "low", record.timestamp());
        }
        if (after.depleted() && !before.depleted()) {
            tell(usage.subject, "depleted", record.timestamp());
        }
    }

    private Bytes key(Usage usage) {
        String text = usage.subject + '\0' + usage.source + '\0' + usage.id;
        return Bytes.wrap(digest.digest(text.getBytes(StandardCharsets.UTF_8)));
    }

    private void tell(String account, String type, long timestamp) {
        context.forward(new Record<>(account, account + '/' + type, timestamp));
    }
}
