package bench;

import java.lang.invoke.MethodHandles;
import java.lang.invoke.VarHandle;
import java.nio.ByteOrder;
import java.util.Collection;
import java.util.List;
import org.apache.kafka.common.utils.Bytes;
import org.apache.kafka.streams.KeyValue;
import org.apache.kafka.streams.processor.BatchingStateRestoreCallback;
import org.apache.kafka.streams.processor.StateStore;
import org.apache.kafka.streams.processor.StateStoreContext;
import org.apache.kafka.streams.query.Position;
import org.apache.kafka.streams.state.KeyValueBytesStoreSupplier;
import org.apache.kafka.streams.state.KeyValueIterator;
import org.apache.kafka.streams.state.KeyValueStore;

/**
 * A set of 128-bit digests in memory: an open hash table of longs, 32 to 64 bytes a digest, no object for each.
 *
 * <p>Kafka Streams writes its changelog, and restores it from there. Values are empty: being there is all that counts.
 * The digest of 128 zeros is taken for a free place; no key is known that has it. A partition holds up to 2^28.
 */
final class Digests implements KeyValueStore<Bytes, byte[]> {
    private static final VarHandle LONG =
            MethodHandles.byteArrayViewVarHandle(long[].class, ByteOrder.BIG_ENDIAN);
    private static final byte[] NOTHING = new byte[0];
    private static final int FIRST_SLOTS = 1 << 16;

    private final String name;
    private long[] slots = new long[2 * FIRST_SLOTS]; // two longs a digest; both 0 where it is free
    private int size;
    private boolean open;

    private Digests(String name) {
        this.name = name;
    }

    static KeyValueBytesStoreSupplier supplier(String name) {
        return new KeyValueBytesStoreSupplier() {
            @Override
            public String name() {
                return name;
            }

            @Override
            public KeyValueStore<Bytes, byte[]> get() {
                return new Digests(name);
            }

            @Override
            public String metricsScope() {
                return "in-memory";
            }
        };
    }

    @Override
    public String name() {
        return name;
    }

    @Override
    public void init(StateStoreContext context, StateStore root) {
        context.register(root, new BatchingStateRestoreCallback() {
            @Override
            public void restoreAll(Collection<KeyValue<byte[], byte[]>> records) {
                for (KeyValue<byte[], byte[]> record : records) {
                    add(record.key);
                }
            }
        });
        open = true;
    }

    @Override
    public byte[] putIfAbsent(Bytes key, byte[] value) {
        return add(key.get()) ? null : NOTHING;
    }

    @Override
    public void put(Bytes key, byte[] value) {
        add(key.get());
    }

    @Override
    public void putAll(List<KeyValue<Bytes, byte[]>> entries) {
        for (KeyValue<Bytes, byte[]> entry : entries) {
            add(entry.key.get());
        }
    }

    @Override
    public byte[] get(Bytes key) {
        int at = slot(high(key.get()), low(key.get()));
        return (slots[at] | slots[at + 1]) == 0 ? null : NOTHING;
    }

    @Override
    public long approximateNumEntries() {
        return size;
    }

    @Override
    public Position getPosition() {
        return Position.emptyPosition(); // nobody queries it
    }

    @Override
    public boolean persistent() {
        return false;
    }

    @Override
    public boolean isOpen() {
        return open;
    }

    @Override
    public void close() {
        open = false;
        slots = new long[2 * FIRST_SLOTS];
        size = 0;
    }

    @Override
    public byte[] delete(Bytes key) {
        throw new UnsupportedOperationException();
    }

    @Override
    public KeyValueIterator<Bytes, byte[]> range(Bytes from, Bytes to) {
        throw new UnsupportedOperationException();
    }

    @Override
    public KeyValueIterator<Bytes, byte[]> all() {
        throw new UnsupportedOperationException();
    }

    /** Whether it was not there. */
    private boolean add(byte[] key) {
        long high = high(key);
        long low = low(key);
        int at = slot(high, low);
        if ((slots[at] | slots[at + 1]) != 0) {
            return false;
        }
        slots[at] = high;
        slots[at + 1] = low;
        if (++size * 4L > slots.length) { // half full
            grow();
        }
        return true;
    }

    /** Where this digest is, or the free place where it belongs. */
    private int slot(long high, long low) {
        int mask = slots.length - 1;
        int at = ((int) low << 1) & mask;
        while ((slots[at] | slots[at + 1]) != 0 && (slots[at] != high || slots[at + 1] != low)) {
            at = (at + 2) & mask;
        }
        return at;
    }

    private void grow() {
        long[] old = slots;
        slots = new long[Math.multiplyExact(old.length, 2)];
        for (int from = 0; from < old.length; from += 2) {
            if ((old[from] | old[from + 1]) != 0) {
                int at = slot(old[from], old[from + 1]);
                slots[at] = old[from];
                slots[at + 1] = old[from + 1];
            }
        }
    }

    private static long high(byte[] key) {
        return (long) LONG.get(key, 0);
    }

    private static long low(byte[] key) {
        return (long) LONG.get(key, Long.BYTES);
    }
}
