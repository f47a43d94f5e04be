/**
 * What a Cassandra 5.0 node reads before it starts: yaml, rack file, log configuration and JVM arguments.
 */
import { join } from "node:path"
import { pathToFileURL } from "node:url"

export interface NodeConfig {
  readonly index: number
  readonly addresses: ReadonlyArray<string>
  readonly nativePort: number
  readonly storagePort: number
  readonly sslStoragePort: number
  readonly authentication: boolean
  /** Absent: no TLS. */
  readonly keystore?: { readonly path: string; readonly password: string }
}

/** Tokens of each node. */
export const tokensPerNode = 4

/**
 * The tokens of a node: those of all nodes together are evenly spread over the ring, and neighbours belong to different
 * nodes. Half a step away from the lowest token, which no node may own.
 */
export const tokensOf = (index: number, nodes: number): ReadonlyArray<bigint> => {
  const total = BigInt(tokensPerNode * nodes)
  const half = (1n << 63n) / total
  return Array.from(
    { length: tokensPerNode },
    (_, i) => -(1n << 63n) + half * BigInt(2 * (i * nodes + index) + 1)
  )
}

/** The text of `cassandra.yaml`. Strings are written as JSON, which is YAML. */
export const yaml = (config: NodeConfig): string => {
  const address = config.addresses[config.index] ?? "127.0.0.1"
  const seeds = config.addresses.map((seed) => `${seed}:${config.storagePort}`).join(",")
  const text = [
    "cluster_name: effect-scylla",
    `num_tokens: ${tokensPerNode}`,
    `initial_token: "${tokensOf(config.index, config.addresses.length).join(",")}"`,
    "auto_bootstrap: false",
    "partitioner: org.apache.cassandra.dht.Murmur3Partitioner",
    "seed_provider:",
    "  - class_name: org.apache.cassandra.locator.SimpleSeedProvider",
    "    parameters:",
    `      - seeds: "${seeds}"`,
    `listen_address: ${address}`,
    `rpc_address: ${address}`,
    `native_transport_port: ${config.nativePort}`,
    `storage_port: ${config.storagePort}`,
    `ssl_storage_port: ${config.sslStoragePort}`,
    "endpoint_snitch: GossipingPropertyFileSnitch",
    // What is dropped is gone: nobody asks for the snapshot that a DROP waits for.
    "auto_snapshot: false",
    "commitlog_sync: periodic",
    "commitlog_sync_period: 10000ms",
    "commitlog_segment_size: 4MiB",
    "commitlog_total_space: 64MiB",
    "memtable_heap_space: 64MiB",
    "memtable_offheap_space: 64MiB",
    "networking_cache_size: 16MiB",
    "file_cache_size: 32MiB",
    "user_defined_functions_enabled: true",
    "materialized_views_enabled: true",
    "dynamic_data_masking_enabled: true"
  ]
  if (config.authentication) {
    text.push(
      "authenticator: PasswordAuthenticator",
      "authorizer: CassandraAuthorizer",
      "role_manager: CassandraRoleManager"
    )
  }
  if (config.keystore !== undefined) {
    text.push(
      "client_encryption_options:",
      "  enabled: true",
      "  optional: true",
      `  keystore: ${JSON.stringify(config.keystore.path)}`,
      `  keystore_password: ${JSON.stringify(config.keystore.password)}`,
      "  store_type: PKCS12"
    )
  }
  return text.join("\n") + "\n"
}

/** The text of `cassandra-rackdc.properties`. */
export const rackProperties = (datacenter: string): string => `dc=${datacenter}\nrack=r1\n`

/** The text of `logback.xml`: everything worth reading goes to the console, which the launcher reads. */
export const logback = `<configuration>
  <appender name="console" class="ch.qos.logback.core.ConsoleAppender">
    <encoder><pattern>%-5level [%thread] %date{ISO8601} %F:%L - %msg%n</pattern></encoder>
  </appender>
  <root level="INFO"><appender-ref ref="console"/></root>
</configuration>
`

const exported = [
  "java.base/jdk.internal.misc",
  "java.base/jdk.internal.ref",
  "java.base/sun.nio.ch",
  "java.management.rmi/com.sun.jmx.remote.internal.rmi",
  "java.rmi/sun.rmi.registry",
  "java.rmi/sun.rmi.server",
  "java.sql/java.sql",
  "java.base/java.lang.ref",
  "java.base/java.lang.reflect",
  "jdk.unsupported/sun.misc"
]

const opened = [
  "java.base/java.lang",
  "java.base/java.lang.module",
  "java.base/java.io",
  "java.base/java.nio",
  "java.base/java.util",
  "java.base/java.util.concurrent",
  "java.base/java.util.concurrent.atomic",
  "java.base/sun.nio.ch",
  "java.base/jdk.internal.loader",
  "java.base/jdk.internal.ref",
  "java.base/jdk.internal.reflect",
  "java.base/jdk.internal.math",
  "java.base/jdk.internal.module",
  "java.base/jdk.internal.util.jar",
  "jdk.management/com.sun.management.internal"
]

/** Arguments of `java` for a node that lives in `directory` (which holds the three files above). */
export const javaArguments = (options: {
  readonly directory: string
  readonly jars: string
  readonly heap: string
  readonly nodes: number
}): ReadonlyArray<string> => {
  const properties: Record<string, string> = {
    "cassandra.config": pathToFileURL(join(options.directory, "cassandra.yaml")).href,
    "cassandra.storagedir": options.directory,
    "cassandra.logdir": options.directory,
    "cassandra-foreground": "yes",
    "logback.configurationFile": join(options.directory, "logback.xml"),
    "java.io.tmpdir": options.directory,
    "cassandra.ring_delay_ms": "1000",
    "cassandra.skip_wait_for_gossip_to_settle": "0",
    "cassandra.superuser_setup_delay_ms": "100",
    "cassandra.system_auth.default_rf": String(options.nodes),
    "cassandra.jmx.local.port": "0",
    "cassandra.max_local_pause_in_ms": "20000"
  }
  return [
    `-Xms${options.heap}`,
    `-Xmx${options.heap}`,
    "-XX:+UseSerialGC",
    "-XX:TieredStopAtLevel=1",
    "-Xss512k",
    "-XX:-UsePerfData",
    "-Djdk.attach.allowAttachSelf=true",
    ...exported.map((name) => `--add-exports=${name}=ALL-UNNAMED`),
    ...opened.map((name) => `--add-opens=${name}=ALL-UNNAMED`),
    ...Object.entries(properties).map(([key, value]) => `-D${key}=${value}`),
    "-cp",
    `${options.directory}:${join(options.jars, "*")}`,
    "org.apache.cassandra.service.CassandraDaemon"
  ]
}
