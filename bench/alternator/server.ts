/**
 * Answers every DynamoDB request with canned bytes, and `/localnodes` with itself. Prints its port; ends with its parent.
 */
import { createServer } from "node:net"

const item = (i: number) => ({
  pk: { S: `customer#${i % 10}` },
  sk: { N: String(i) },
  name: { S: `name of the item number ${i}` },
  email: { S: `someone.${i}@example.com` },
  price: { N: `${i}.25` },
  stock: { N: String(i * 7) },
  active: { BOOL: i % 2 === 0 },
  tags: { L: [{ S: "red" }, { S: "green" }, { S: "blue" }] },
  address: { M: { street: { S: "Main Street 1" }, city: { S: "Springfield" }, zip: { N: "12345" } } },
  picture: { B: Buffer.alloc(48, i).toString("base64") }
})

const http = (body: string, type = "application/x-amz-json-1.0") =>
  Buffer.from(`HTTP/1.1 200 OK\r\nContent-Type: ${type}\r\nContent-Length: ${Buffer.byteLength(body)}\r\n\r\n${body}`)

const answers = new Map([
  ["GetItem", http(JSON.stringify({ Item: item(1) }))],
  ["PutItem", http("{}")],
  [
    "Query",
    http(JSON.stringify({
      Items: Array.from({ length: 100 }, (_, i) => item(i)),
      Count: 100,
      ScannedCount: 100
    }))
  ]
])
const nodes = http('["127.0.0.1"]', "application/json")
const healthy = http("healthy: 127.0.0.1", "text/plain")
const unknown = http("{}")

const server = createServer((socket) => {
  let rest = Buffer.alloc(0)
  socket.setNoDelay()
  socket.on("error", () => {})
  socket.on("data", (chunk) => {
    rest = rest.length === 0 ? chunk : Buffer.concat([rest, chunk])
    while (true) {
      const end = rest.indexOf("\r\n\r\n")
      if (end < 0) return
      const head = rest.toString("latin1", 0, end)
      const size = Number(/content-length: *(\d+)/i.exec(head)?.[1] ?? 0)
      const total = end + 4 + size
      if (rest.length < total) return
      rest = rest.subarray(total)
      if (head.startsWith("GET /localnodes")) socket.write(nodes)
      else if (head.startsWith("GET ")) socket.write(healthy)
      else socket.write(answers.get(/x-amz-target: *DynamoDB_20120810\.(\w+)/i.exec(head)?.[1] ?? "") ?? unknown)
    }
  })
})
server.listen(0, "127.0.0.1", () => {
  const address = server.address()
  process.stdout.write(`${typeof address === "object" && address !== null ? address.port : 0}\n`)
})
process.stdin.resume().on("end", () => process.exit(0))
