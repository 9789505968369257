package bench;

import java.util.Map;
import org.apache.kafka.streams.state.RocksDBConfigSetter;
import org.rocksdb.BlockBasedTableConfig;
import org.rocksdb.BloomFilter;
import org.rocksdb.CompressionType;
import org.rocksdb.LRUCache;
import org.rocksdb.Options;
import org.rocksdb.RocksDB;

/** RocksDB for keys of which nearly all are new: large memtables, and filters that spare the search. */
public final class Rocks implements RocksDBConfigSetter {
    private static final long MEMTABLE_BYTES = 64L << 20;

    static {
        RocksDB.loadLibrary(); // Kafka Streams loads this class before it loads RocksDB
    }

    private static final LRUCache CACHE = new LRUCache(256L << 20);
    private static final BloomFilter FILTER = new BloomFilter(10);

    @Override
    public void setConfig(String store, Options options, Map<String, Object> configuration) {
        BlockBasedTableConfig table = (BlockBasedTableConfig) options.tableFormatConfig();
        table.setBlockCache(CACHE);
        table.setFilterPolicy(FILTER);
        table.setWholeKeyFiltering(true);
        options.setTableFormatConfig(table);
        options.setWriteBufferSize(MEMTABLE_BYTES);
        options.setMaxWriteBufferNumber(3);
        options.setMemtableWholeKeyFiltering(true);
        options.setMemtablePrefixBloomSizeRatio(0.1);
        options.setCompressionType(CompressionType.NO_COMPRESSION); // digests do not compress
    }

    @Override
    public void close(String store, Options options) {
        // The cache and the filter are shared by all stores, for as long as the process lives.
    }
}
