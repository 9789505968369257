package bench;

import com.fasterxml.jackson.core.JsonFactory;
import com.fasterxml.jackson.core.JsonParser;
import com.fasterxml.jackson.core.JsonToken;
import java.io.IOException;
import org.apache.kafka.common.errors.SerializationException;

/** What the job needs of a CloudEvent, read by Jackson's streaming parser: no tree, no reflection. */
final class Usage {
    private static final JsonFactory JSON = new JsonFactory();

    String subject;
    String source;
    String id;
    String model;
    String region;
    long inputTokens = -1;
    long outputTokens = -1;

    private Usage() {}

    /** A Kafka deserializer. It is shared by all threads, so it has no state. */
    static Usage deserialize(String topic, byte[] bytes) {
        Usage usage = new Usage();
        try (JsonParser parser = JSON.createParser(bytes)) {
            parser.nextToken();
            usage.envelope(parser);
        } catch (IOException error) {
            throw new SerializationException("not a CloudEvent in JSON", error);
        }
        if (usage.subject == null || usage.source == null || usage.id == null || usage.model == null
                || usage.region == null || usage.inputTokens < 0 || usage.outputTokens < 0) {
            throw new SerializationException("not usage: something is missing");
        }
        return usage;
    }

    private void envelope(JsonParser parser) throws IOException {
        for (String name = parser.nextFieldName(); name != null; name = parser.nextFieldName()) {
            JsonToken token = parser.nextToken();
            switch (name) {
                case "subject" -> subject = parser.getText();
                case "source" -> source = parser.getText();
                case "id" -> id = parser.getText();
                case "data" -> {
                    if (token == JsonToken.START_OBJECT) {
                        data(parser);
                    }
                }
                default -> parser.skipChildren();
            }
        }
    }

    private void data(JsonParser parser) throws IOException {
        for (String name = parser.nextFieldName(); name != null; name = parser.nextFieldName()) {
            parser.nextToken();
            switch (name) {
                case "model" -> model = parser.getText();
                case "region" -> region = parser.getText();
                case "input_tokens" -> inputTokens = parser.getLongValue();
                case "output_tokens" -> outputTokens = parser.getLongValue();
                default -> parser.skipChildren();
            }
        }
    }
}
