package bench;

import java.nio.ByteBuffer;
import org.apache.kafka.common.serialization.Serde;
import org.apache.kafka.common.serialization.Serdes;

/** What an account was issued, has consumed, and has left of each grant, in nano. */
record Balance(long issued, long consumed, long promo, long main, long overage) {

    /** Five big-endian longs, in the order of the record. */
    static final Serde<Balance> FORMAT = Serdes.serdeFrom(
            (topic, balance) -> balance == null ? null : balance.bytes(),
            (topic, bytes) -> bytes == null ? null : of(bytes));

    /** After {@code nano} more. Throws ArithmeticException where a sum leaves 64 bits. */
    Balance draw(long nano) {
        long ofPromo = Math.min(promo, nano);
        long ofMain = Math.min(main, nano - ofPromo);
        return new Balance(
                issued,
                Math.addExact(consumed, nano),
                promo - ofPromo,
                main - ofMain,
                Math.addExact(overage, nano - ofPromo - ofMain));
    }

    boolean low() {
        return promo + main <= issued / 5;
    }

    boolean depleted() {
        return promo + main == 0;
    }

    private byte[] bytes() {
        return ByteBuffer.allocate(5 * Long.BYTES)
                .putLong(issued)
                .putLong(consumed)
                .putLong(promo)
                .putLong(main)
                .putLong(overage)
                .array();
    }

    private static Balance of(byte[] bytes) {
        ByteBuffer buffer = ByteBuffer.wrap(bytes);
        return new Balance(buffer.getLong(), buffer.getLong(), buffer.getLong(), buffer.getLong(), buffer.getLong());
    }
}
