// By import and by require, named and default; prints what it saw, as JSON.
import cassandra, { auth, Client, concurrent, mapping, policies, types } from "cassandra-driver"
import { createRequire } from "node:module"

const required = createRequire(import.meta.url)("cassandra-driver")
const [contactPoint, datacenter] = process.argv.slice(2)
const [host, port] = contactPoint.split(":")
const client = new Client({
  contactPoints: [host],
  localDataCenter: datacenter,
  protocolOptions: { port: Number(port) }
})
const { rows } = await client.execute("SELECT key FROM system.local")
await client.shutdown()
console.log(JSON.stringify({
  isOne: [cassandra.Client, required.Client].every((each) => each === Client) && required.types === types,
  names: Object.keys(required).sort(),
  some: [auth, concurrent, mapping, policies].map((each) => typeof each),
  rows
}))
