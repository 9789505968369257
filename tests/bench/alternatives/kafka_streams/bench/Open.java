package bench;

import org.apache.kafka.streams.processor.api.Processor;
import org.apache.kafka.streams.processor.api.ProcessorContext;
import org.apache.kafka.streams.processor.api.Record;
import org.apache.kafka.streams.state.KeyValueStore;

/** A grant opens its account's balance. It is older than the account's usage, so Kafka Streams takes it first. */
final class Open implements Processor<String, Balance, Void, Void> {
    private KeyValueStore<String, Balance> balances;

    @Override
    public void init(ProcessorContext<Void, Void> context) {
        balances = context.getStateStore(Job.BALANCES);
    }

    @Override
    public void process(Record<String, Balance> grant) {
        balances.putIfAbsent(grant.key(), grant.value());
    }
}
