// The instrumentation of OpenTelemetry for cassandra-driver: prints the spans that it makes, as JSON.
"use strict"
const { CassandraDriverInstrumentation } = require("@opentelemetry/instrumentation-cassandra-driver")
const { BasicTracerProvider, InMemorySpanExporter, SimpleSpanProcessor } = require("@opentelemetry/sdk-trace-base")

const [contactPoint, datacenter, keyspace] = process.argv.slice(2)
const [host, port] = contactPoint.split(":")
const exporter = new InMemorySpanExporter()
const provider = new BasicTracerProvider({ spanProcessors: [new SimpleSpanProcessor(exporter)] })
const instrumentation = new CassandraDriverInstrumentation({ enhancedDatabaseReporting: true })
instrumentation.setTracerProvider(provider)
instrumentation.enable()

const { Client } = require("cassandra-driver")

const main = async () => {
  const client = new Client({
    contactPoints: [host],
    localDataCenter: datacenter,
    protocolOptions: { port: Number(port) },
    keyspace
  })
  await client.execute("SELECT key FROM system.local")
  await new Promise((resolve) =>
    client.execute("SELECT key FROM system.local WHERE key = ?", ["local"], { prepare: true }, resolve)
  )
  await client.execute("SELECT * FROM nothing").catch(() => {})
  await client.batch(["INSERT INTO kv (k, v) VALUES ('otel', 'x')"])
  await new Promise((resolve) => client.eachRow("SELECT key FROM system.local", [], () => {}, resolve))
  await new Promise((resolve) => client.stream("SELECT key FROM system.local").on("end", resolve).resume())
  await client.shutdown()
  console.log(
    JSON.stringify(exporter.getFinishedSpans().map(({ attributes, name, status }) => ({ attributes, name, status })))
  )
}

main().catch((error) => {
  console.error(error)
  process.exitCode = 1
})
