import static com.datastax.oss.driver.api.querybuilder.QueryBuilder.bindMarker;
import static com.datastax.oss.driver.api.querybuilder.QueryBuilder.deleteFrom;
import static com.datastax.oss.driver.api.querybuilder.QueryBuilder.literal;
import static com.datastax.oss.driver.api.querybuilder.QueryBuilder.selectFrom;

import com.datastax.oss.driver.api.core.CqlIdentifier;
import com.datastax.oss.driver.api.core.CqlSession;
import com.datastax.oss.driver.api.core.CqlSessionBuilder;
import com.datastax.oss.driver.api.core.config.DefaultDriverOption;
import com.datastax.oss.driver.api.core.config.DriverConfigLoader;
import com.datastax.oss.driver.api.core.cql.AsyncResultSet;
import com.datastax.oss.driver.api.core.cql.BatchStatement;
import com.datastax.oss.driver.api.core.cql.BatchType;
import com.datastax.oss.driver.api.core.cql.BoundStatement;
import com.datastax.oss.driver.api.core.cql.PreparedStatement;
import com.datastax.oss.driver.api.core.cql.QueryTrace;
import com.datastax.oss.driver.api.core.cql.ResultSet;
import com.datastax.oss.driver.api.core.cql.Row;
import com.datastax.oss.driver.api.core.cql.SimpleStatement;
import com.datastax.oss.driver.api.core.data.TupleValue;
import com.datastax.oss.driver.api.core.data.UdtValue;
import com.datastax.oss.driver.api.core.metadata.schema.ColumnMetadata;
import com.datastax.oss.driver.api.core.metadata.schema.KeyspaceMetadata;
import com.datastax.oss.driver.api.core.metadata.schema.TableMetadata;
import com.datastax.oss.driver.api.core.metadata.token.TokenRange;
import com.datastax.oss.driver.api.core.servererrors.AlreadyExistsException;
import com.datastax.oss.driver.api.core.servererrors.InvalidQueryException;
import com.datastax.oss.driver.api.core.servererrors.SyntaxError;
import com.datastax.oss.driver.api.core.type.DataTypes;
import com.datastax.oss.driver.api.core.type.TupleType;
import com.datastax.oss.driver.api.core.type.UserDefinedType;
import com.fasterxml.jackson.databind.ObjectMapper;
import java.io.PrintStream;
import java.math.BigDecimal;
import java.math.BigInteger;
import java.net.InetAddress;
import java.net.InetSocketAddress;
import java.nio.ByteBuffer;
import java.nio.charset.StandardCharsets;
import java.time.Duration;
import java.time.Instant;
import java.time.LocalDate;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.HexFormat;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.TreeMap;
import java.util.TreeSet;
import java.util.UUID;
import java.util.concurrent.CompletionStage;

/** The shop on the Java driver: {@code Shop HOST PORT DATACENTER COPIES} prints what it read as one line of JSON. */
public final class Shop {
  private static final String KEYSPACE = "shop_java";

  private static final String COLUMNS =
      "id, name, email, tags, phones, visits, home, uid, balance, born, at, photo, big, ok, score, pos, ip";

  private static String hex(ByteBuffer bytes) {
    byte[] copy = new byte[bytes.remaining()];
    bytes.duplicate().get(copy);
    return HexFormat.of().formatHex(copy);
  }

  private static Map<String, Object> customer(Row row) {
    if (row == null) return null;
    Map<String, Object> out = new LinkedHashMap<>();
    out.put("id", row.getInt("id"));
    out.put("name", row.getString("name"));
    out.put("email", row.getString("email"));
    out.put("tags", row.getSet("tags", String.class));
    out.put("phones", row.getMap("phones", String.class, String.class));
    out.put("visits", row.getList("visits", Integer.class));
    UdtValue home = row.getUdtValue("home");
    out.put("home", Map.of("street", home.getString("street"), "zip", home.getInt("zip")));
    out.put("uid", row.getUuid("uid").toString());
    out.put("balance", row.getBigDecimal("balance").toPlainString());
    out.put("born", row.getLocalDate("born").toString());
    out.put("at", row.getInstant("at").toString());
    out.put("photo", hex(row.getByteBuffer("photo")));
    out.put("big", row.getBigInteger("big").toString());
    out.put("ok", row.getBoolean("ok"));
    out.put("score", row.getDouble("score"));
    TupleValue pos = row.getTupleValue("pos");
    out.put("pos", List.of(pos.getInt(0), pos.getString(1)));
    String ip = row.getInetAddress("ip").getHostAddress();
    out.put("ip", ip.equals("0:0:0:0:0:0:0:1") ? "::1" : ip);
    return out;
  }

  private static List<Object> event(Row row) {
    return Arrays.asList(row.getInt("seq"), row.getString("note"), row.getString("payload"));
  }

  private static List<Object> claim(ResultSet answer, String... columns) {
    if (answer.wasApplied()) return Arrays.asList(true, null);
    Row row = answer.one();
    List<Object> before = new ArrayList<>();
    for (String column : columns) before.add(row.getObject(column));
    return List.of(false, before);
  }

  /** Has them all in flight at once. */
  private static void all(CqlSession session, List<BoundStatement> statements) {
    List<CompletionStage<AsyncResultSet>> pending = new ArrayList<>();
    for (var statement : statements) pending.add(session.executeAsync(statement));
    for (var each : pending) each.toCompletableFuture().join();
  }

  public static void main(String[] args) throws Exception {
    String copies = args[3];
    Map<String, Object> out = new LinkedHashMap<>();
    Map<String, Object> own = new LinkedHashMap<>();
    DriverConfigLoader config =
        DriverConfigLoader.programmaticBuilder()
            .withDuration(DefaultDriverOption.REQUEST_TIMEOUT, Duration.ofSeconds(10))
            .withDuration(DefaultDriverOption.METADATA_SCHEMA_WINDOW, Duration.ofMillis(50))
            .withDuration(DefaultDriverOption.NETTY_IO_SHUTDOWN_QUIET_PERIOD, Duration.ZERO)
            .withDuration(DefaultDriverOption.NETTY_ADMIN_SHUTDOWN_QUIET_PERIOD, Duration.ZERO)
            .build();
    CqlSessionBuilder builder =
        CqlSession.builder()
            .addContactPoint(new InetSocketAddress(args[0], Integer.parseInt(args[1])))
            .withLocalDatacenter(args[2])
            .withConfigLoader(config);
    String login = System.getenv("CQL_USERNAME");
    if (login != null) builder.withAuthCredentials(login, System.getenv("CQL_PASSWORD"));
    try (CqlSession session = builder.build()) {

      // The schema
      session.execute(
          "CREATE KEYSPACE " + KEYSPACE + " WITH replication = {'class': 'NetworkTopologyStrategy', 'replication_factor': " + copies + "}");
      session.execute("USE " + KEYSPACE);
      session.execute("CREATE TYPE address (street text, zip int)");
      session.execute(
          """
          CREATE TABLE customer (
            id int PRIMARY KEY, name text, email text, tags set<text>, phones map<text, text>, visits list<int>,
            home frozen<address>, uid uuid, balance decimal, born date, at timestamp, photo blob, big varint, ok boolean,
            score double, pos frozen<tuple<int, text>>, ip inet)""");
      session.execute(
          """
          CREATE TABLE event (source text, day int, seq int, note text static, payload text, PRIMARY KEY ((source, day), seq))
          WITH CLUSTERING ORDER BY (seq DESC)""");
      session.execute("CREATE TABLE hits (page text PRIMARY KEY, n counter)");
      session.execute("CREATE INDEX customer_email ON customer (email)");

      // A row by literals, a row by a prepared statement
      session.execute(
          "INSERT INTO customer (" + COLUMNS + ") "
              + """
          VALUES (1, 'Bo', 'bo@example.com', {'y', 'x'}, {'home': '11'}, [2, 1], {street: 'Side 2', zip: 54321},
            00000000-0000-4000-8000-000000000001, -0.001, '1970-01-01', '1969-12-31T23:59:59.999Z', 0xCAFE, -1, false, -2.25,
            (1, 'one'), '::1')""");
      UserDefinedType address =
          session.refreshSchema().getKeyspace(KEYSPACE).flatMap(ks -> ks.getUserDefinedType("address")).orElseThrow();
      TupleType pair = DataTypes.tupleOf(DataTypes.INT, DataTypes.TEXT);
      PreparedStatement insert =
          session.prepare("INSERT INTO customer (" + COLUMNS + ") VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)");
      session.execute(
          insert.bind(
              2, "Åsa", "asa@example.com", Set.of("b", "a"), Map.of("work", "2", "home", "1"), List.of(3, 1, 2),
              address.newValue("Main 1", 12345), UUID.fromString("123e4567-e89b-42d3-a456-426614174000"), new BigDecimal("12.50"),
              LocalDate.of(1990, 5, 17), Instant.parse("2024-02-29T12:34:56.789Z"), ByteBuffer.wrap(new byte[] {0, -1, 16}),
              BigInteger.ONE.shiftLeft(80), true, 0.5, pair.newValue(7, "x"), InetAddress.getByName("10.0.0.1")));
      PreparedStatement byId = session.prepare(selectFrom("customer").all().whereColumn("id").isEqualTo(bindMarker()).build());
      out.put("literal", customer(session.execute(byId.bind(1)).one()));
      out.put("prepared", customer(session.execute(byId.bind(2)).one()));
      out.put("nobody", customer(session.execute(byId.bind(404)).one()));

      // Pages of a partition
      PreparedStatement add = session.prepare("INSERT INTO event (source, day, seq, payload) VALUES (?, ?, ?, ?)");
      List<BoundStatement> rows = new ArrayList<>();
      for (int seq = 0; seq < 130; seq++) rows.add(add.bind("web", 1, seq, "p" + seq));
      all(session, rows);
      session.execute(
          SimpleStatement.newInstance("UPDATE event SET note = ? WHERE source = ? AND day = ?", "busy", "web", 1));
      PreparedStatement paged = session.prepare("SELECT seq, note, payload FROM event WHERE source = ? AND day = ?");
      List<Integer> sizes = new ArrayList<>();
      List<List<Object>> seen = new ArrayList<>();
      AsyncResultSet page = session.executeAsync(paged.bind("web", 1).setPageSize(40)).toCompletableFuture().join();
      while (true) {
        int before = seen.size();
        for (Row row : page.currentPage()) seen.add(event(row));
        sizes.add(seen.size() - before);
        if (!page.hasMorePages()) break;
        page = page.fetchNextPage().toCompletableFuture().join();
      }
      out.put("pages", Map.of("sizes", sizes, "first", seen.get(0), "last", seen.get(seen.size() - 1)));
      List<List<Object>> again = new ArrayList<>();
      ByteBuffer state = null;
      do {
        ResultSet part = session.execute(paged.bind("web", 1).setPageSize(40).setPagingState(state));
        for (int left = part.getAvailableWithoutFetching(); left > 0; left--) again.add(event(part.one()));
        state = part.getExecutionInfo().getPagingState();
      } while (state != null);
      out.put("again", again.equals(seen));
      List<Integer> slice = new ArrayList<>();
      for (Row row : session.execute("SELECT seq FROM event WHERE source = 'web' AND day = 1 AND seq > 10 AND seq <= 13 ORDER BY seq ASC")) {
        slice.add(row.getInt(0));
      }
      out.put("slice", slice);

      // Batches and counters
      session.execute(
          BatchStatement.newInstance(
              BatchType.LOGGED,
              add.bind("web", 2, 1, "first"),
              SimpleStatement.newInstance("INSERT INTO event (source, day, seq, payload) VALUES ('web', 2, 2, 'second')"),
              SimpleStatement.newInstance("UPDATE event SET note = ? WHERE source = ? AND day = ?", "few", "web", 2)));
      session.execute(
          BatchStatement.newInstance(BatchType.UNLOGGED, add.bind("web", 2, 3, "later"), add.bind("web", 2, 4, "later")));
      List<List<Object>> batch = new ArrayList<>();
      for (Row row : session.execute("SELECT seq, note, payload FROM event WHERE source = 'web' AND day = 2")) batch.add(event(row));
      out.put("batch", batch);
      PreparedStatement hit = session.prepare("UPDATE hits SET n = n + ? WHERE page = ?");
      session.execute(hit.bind(5L, "/"));
      session.execute(hit.bind(-2L, "/"));
      session.execute(BatchStatement.newInstance(BatchType.COUNTER, hit.bind(1L, "/"), hit.bind(10L, "/about")));
      Map<String, Long> counters = new TreeMap<>();
      for (Row row : session.execute("SELECT page, n FROM hits")) counters.put(row.getString("page"), row.getLong("n"));
      out.put("counters", counters);

      // Conditions
      PreparedStatement join = session.prepare("INSERT INTO customer (id, name) VALUES (?, ?) IF NOT EXISTS");
      List<Object> claims = new ArrayList<>();
      for (String name : List.of("Cy", "Di")) claims.add(claim(session.execute(join.bind(3, name)), "id", "name"));
      PreparedStatement rename = session.prepare("UPDATE customer SET name = ? WHERE id = ? IF name = ?");
      for (String name : List.of("Al", "Cy")) claims.add(claim(session.execute(rename.bind("Ed", 3, name)), "name"));
      claims.add(
          Arrays.asList(
              session.execute(deleteFrom("customer").whereColumn("id").isEqualTo(literal(999)).ifExists().build()).wasApplied(), null));
      out.put("claims", claims);

      // Many partitions, and the whole ring in parts
      Map<Integer, String> many = new TreeMap<>();
      PreparedStatement in = session.prepare("SELECT id, name FROM customer WHERE id IN ?");
      for (Row row : session.execute(in.bind(List.of(1, 2, 3, 404)))) many.put(row.getInt("id"), row.getString("name"));
      List<Object> found = new ArrayList<>();
      many.forEach((id, name) -> found.add(List.of(id, name)));
      out.put("many", found);
      rows.clear();
      for (int day = 0; day < 100; day++) rows.add(add.bind("ring", day, 0, "r"));
      all(session, rows);
      PreparedStatement part =
          session.prepare("SELECT source, day FROM event WHERE token(source, day) > ? AND token(source, day) <= ?");
      long[] bounds = {Long.MIN_VALUE, -(1L << 62), 0, 1L << 62, Long.MAX_VALUE};
      int parts = 0;
      int total = 0;
      for (int i = 0; i + 1 < bounds.length; i++) {
        int count = 0;
        for (Row row : session.execute(part.bind(bounds[i], bounds[i + 1]))) if (row.getString("source").equals("ring")) count++;
        total += count;
        if (count > 0) parts++;
      }
      out.put("ring", Map.of("parts", parts, "rows", total));
      var tokens = session.getMetadata().getTokenMap().orElseThrow();
      int inRanges = 0;
      for (TokenRange whole : tokens.getTokenRanges()) {
        for (TokenRange range : whole.unwrap()) {
          for (Row row :
              session.execute(part.bind().setToken(0, range.getStart()).setToken(1, range.getEnd()))) {
            if (row.getString("source").equals("ring")) inRanges++;
          }
        }
      }
      own.put("inRanges", inRanges);

      // Changes in place
      session.execute("UPDATE customer SET tags = tags + {'c'}, phones['cell'] = '3', visits = visits + [4] WHERE id = 2");
      session.execute("UPDATE customer SET tags = tags - {'a'}, visits[0] = 9 WHERE id = 2");
      session.execute("DELETE phones['home'] FROM customer WHERE id = 2");
      Row changed = session.execute(byId.bind(2)).one();
      out.put(
          "changed",
          Map.of(
              "tags", changed.getSet("tags", String.class),
              "phones", changed.getMap("phones", String.class, String.class),
              "visits", changed.getList("visits", Integer.class)));
      session.execute("INSERT INTO customer (id, name) VALUES (4, 'Flo') USING TTL 600 AND TIMESTAMP 1234567890123456");
      Row lives = session.execute("SELECT ttl(name) AS left, writetime(name) AS written FROM customer WHERE id = 4").one();
      int left = lives.getInt("left");
      out.put("lives", List.of(590 <= left && left <= 600, lives.getLong("written")));
      session.execute("DELETE FROM event WHERE source = 'web' AND day = 1 AND seq >= 100");
      out.put("left", session.execute("SELECT count(*) FROM event WHERE source = 'web' AND day = 1").one().getLong(0));
      List<Integer> indexed = new ArrayList<>();
      for (Row row : session.execute("SELECT id FROM customer WHERE email = 'asa@example.com'")) indexed.add(row.getInt(0));
      out.put("indexed", indexed);

      // What is refused
      List<String> errors = new ArrayList<>();
      for (String statement :
          List.of(
              "SELECT * FROM nowhere", "SELECT FROM customer", "CREATE TABLE hits (page text PRIMARY KEY)",
              "SELECT nothing FROM customer", "SELECT * FROM event WHERE seq = 1")) {
        try {
          session.execute(statement);
          errors.add("none");
        } catch (InvalidQueryException error) {
          errors.add("invalid");
        } catch (SyntaxError error) {
          errors.add("syntax");
        } catch (AlreadyExistsException error) {
          errors.add(error.getMessage().matches(".*shop_java\\.hits already exists") ? "hits exists" : error.getMessage());
        }
      }
      out.put("errors", errors);

      // Metadata
      KeyspaceMetadata keyspace = session.refreshSchema().getKeyspace(KEYSPACE).orElseThrow();
      TableMetadata event = keyspace.getTable("event").orElseThrow();
      TableMetadata customer = keyspace.getTable("customer").orElseThrow();
      Map<String, Object> meta = new LinkedHashMap<>();
      meta.put("nodes", session.getMetadata().getNodes().size());
      meta.put("tables", new TreeSet<>(keyspace.getTables().keySet().stream().map(CqlIdentifier::asInternal).toList()));
      meta.put("partition", event.getPartitionKey().stream().map(column -> column.getName().asInternal()).toList());
      List<Object> clustering = new ArrayList<>();
      event.getClusteringColumns().forEach((column, order) -> clustering.add(List.of(column.getName().asInternal(), order.name().toLowerCase())));
      meta.put("clustering", clustering);
      meta.put(
          "static",
          event.getColumns().values().stream().filter(ColumnMetadata::isStatic).map(column -> column.getName().asInternal()).toList());
      Map<String, String> types = new TreeMap<>();
      for (ColumnMetadata column : customer.getColumns().values()) {
        String type = column.getType().asCql(true, true).toLowerCase();
        // A tuple is always frozen, and it does not say so.
        types.put(column.getName().asInternal(), (type.startsWith("tuple<") ? "frozen<" + type + ">" : type).replace("shop_java.", ""));
      }
      meta.put("columns", types);
      UserDefinedType type = keyspace.getUserDefinedType("address").orElseThrow();
      meta.put(
          "type",
          List.of(
              type.getFieldNames().stream().map(CqlIdentifier::asInternal).toList(),
              type.getFieldTypes().stream().map(field -> field.asCql(true, true).toLowerCase()).toList()));
      out.put("meta", meta);
      own.put("indexes", customer.getIndexes().keySet().stream().map(CqlIdentifier::asInternal).toList());
      own.put("replicas", tokens.getReplicas(CqlIdentifier.fromInternal(KEYSPACE), ByteBuffer.wrap(new byte[] {0, 0, 0, 1})).size());
      own.put("described", keyspace.describeWithChildren(false).contains("CREATE TABLE \"shop_java\".\"event\""));
      QueryTrace trace =
          session.execute(SimpleStatement.newInstance("SELECT * FROM customer WHERE id = 1").setTracing(true)).getExecutionInfo().getQueryTrace();
      own.put("traced", List.of(trace.getRequestType(), !trace.getEvents().isEmpty()));
      session.execute("DROP KEYSPACE " + KEYSPACE);
      out.put("own", own);
    }
    new PrintStream(System.out, true, StandardCharsets.UTF_8).println(new ObjectMapper().writeValueAsString(out));
    System.exit(0);
  }
}
