package bench;

import java.io.FileInputStream;
import java.io.IOException;
import java.time.Duration;
import java.util.Properties;
import java.util.concurrent.CountDownLatch;
import org.apache.kafka.common.serialization.Serde;
import org.apache.kafka.common.serialization.Serdes;
import org.apache.kafka.streams.KafkaStreams;
import org.apache.kafka.streams.Topology;
import org.apache.kafka.streams.state.Stores;

/**
 * The bench's job as a topology: grants open balances, usage draws them down, alerts come out.
 *
 * <p>{@code java bench.Job FILE}: a file of properties, those of Kafka Streams and {@code bench.usage},
 * {@code bench.grants}, {@code bench.alerts} (topics) and {@code price.MODEL.REGION=INPUT,OUTPUT} (nano a token). The
 * topics of usage and of grants have the same number of partitions and the same partitioner.
 */
public final class Job {
    static final String BALANCES = "balances";
    static final String SEEN = "seen";

    private Job() {}

    public static void main(String[] arguments) throws IOException, InterruptedException {
        Properties properties = new Properties();
        try (FileInputStream file = new FileInputStream(arguments[0])) {
            properties.load(file);
        }
        KafkaStreams streams = new KafkaStreams(topology(properties), properties);
        CountDownLatch ended = new CountDownLatch(1);
        streams.setStateListener((state, before) -> {
            if (state == KafkaStreams.State.ERROR || state == KafkaStreams.State.NOT_RUNNING) {
                ended.countDown();
            }
        });
        Runtime.getRuntime().addShutdownHook(new Thread(() -> streams.close(Duration.ofSeconds(10))));
        streams.start();
        ended.await();
        if (streams.state() == KafkaStreams.State.ERROR) {
            System.exit(1);
        }
    }

    static Topology topology(Properties properties) {
        Serde<String> account = Serdes.String();
        Prices prices = Prices.of(properties);
        return new Topology()
                .addSource("grants", account.deserializer(), Balance.FORMAT.deserializer(),
                        properties.getProperty("bench.grants"))
                .addSource("usage", Serdes.ByteArray().deserializer(), Usage::deserialize,
                        properties.getProperty("bench.usage"))
                .addProcessor("open", Open::new, "grants")
                .addProcessor("draw", () -> new Draw(prices), "usage")
                .addStateStore(
                        Stores.keyValueStoreBuilder(
                                        Stores.inMemoryKeyValueStore(BALANCES),
                                        account,
                                        Balance.FORMAT)
                                .withCachingEnabled(),
                        "open", "draw")
                .addStateStore(
                        Stores.keyValueStoreBuilder(
                                Digests.supplier(SEEN), Serdes.Bytes(), Serdes.ByteArray()),
                        "draw")
                .addSink("alerts", properties.getProperty("bench.alerts"), account.serializer(), account.serializer(),
                        "draw");
    }
}
