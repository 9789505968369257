package bench;

import java.util.HashMap;
import java.util.Map;
import java.util.Properties;

/** Nano for each input and each output token, by model and region. */
record Prices(Map<String, Map<String, long[]>> byModel) {
    private static final String PREFIX = "price.";

    static Prices of(Properties properties) {
        Map<String, Map<String, long[]>> found = new HashMap<>();
        for (String name : properties.stringPropertyNames()) {
            if (name.startsWith(PREFIX)) {
                String[] place = name.substring(PREFIX.length()).split("\\.");
                String[] price = properties.getProperty(name).split(",");
                found.computeIfAbsent(place[0], model -> new HashMap<>())
                        .put(place[1], new long[] {Long.parseLong(price[0]), Long.parseLong(price[1])});
            }
        }
        return new Prices(found);
    }

    /** Exact: throws ArithmeticException where 64 bits do not hold it, NullPointerException without a price. */
    long cost(Usage usage) {
        long[] price = byModel.get(usage.model).get(usage.region);
        return Math.addExact(
                Math.multiplyExact(usage.inputTokens, price[0]),
                Math.multiplyExact(usage.outputTokens, price[1]));
    }
}
