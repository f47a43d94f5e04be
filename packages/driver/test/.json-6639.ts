import { CqlClient, CqlSchema, CqlTypes, Json, Uuid } from "@effect-scylla/driver"
import { Effect, Schema } from "effect"

const Cql = CqlClient.layer({ contactPoints: [process.env["CONTACT_POINT"] ?? "127.0.0.1:9042"] })

const plain = Effect.gen(function*() {
  const cql = yield* CqlClient.CqlClient
  const row = yield* cql`SELECT owner, balance FROM bank.accounts WHERE id = ${ID}`.one
  try {
    JSON.stringify(row)
  } catch (error) {
    console.log((error as Error).message) // => Do not know how to serialize a BigInt
  }
  // Any row, and any value in it, has a JSON form.
  console.log(Json.stringify(row)) // => {"owner":"Ada","balance":"9007199254740993"}
})

const Account = Schema.Struct({
  id: CqlTypes.Uuid,
  owner: Schema.NullOr(CqlTypes.Text),
  balance: Schema.NullOr(CqlTypes.Bigint),
  rate: Schema.NullOr(CqlTypes.Decimal),
  opened: Schema.NullOr(CqlTypes.Timestamp),
  tags: Schema.NullOr(CqlTypes.Set(CqlTypes.Text)),
  seal: Schema.NullOr(CqlTypes.Blob)
})

const AccountJson = Schema.toCodecJson(Account)

const typed = Effect.gen(function*() {
  const cql = yield* CqlClient.CqlClient
  const byId = CqlSchema.findOne({
    Request: CqlTypes.Uuid,
    Result: Account,
    execute: (id) => cql`SELECT * FROM bank.accounts WHERE id = ${id}`
  })
  const account = yield* byId(ID)
  const json = JSON.stringify(yield* Schema.encodeEffect(AccountJson)(account))
  console.log(json) // => {"id":"6e1b1a4e-0d7c-4f0e-9d53-7a1c5f0b2a10","owner":"Ada","balance":"9007199254740993","rate":"1.90","opened":"2026-12-01T08:00:00.000Z","tags":["new","vip"],"seal":"0x01ff"}
  const back = yield* Schema.decodeUnknownEffect(AccountJson)(JSON.parse(json))
  console.log(back.balance, back.tags) // => 9007199254740993n Set(2) { 'new', 'vip' }
})

const incoming = Effect.gen(function*() {
  const cql = yield* CqlClient.CqlClient
  const Deposit = Schema.Struct({ id: CqlTypes.Uuid, balance: CqlTypes.Bigint })
  const set = CqlSchema.void({
    Request: Deposit,
    execute: ({ balance, id }) => cql`UPDATE bank.accounts SET balance = ${balance} WHERE id = ${id}`
  })
  const read = Schema.decodeUnknownEffect(Schema.toCodecJson(Deposit))
  yield* set(yield* read({ id: String(ID), balance: "9007199254740995" }))
  console.log(yield* cql`SELECT balance FROM bank.accounts WHERE id = ${ID}`.one) // => { balance: 9007199254740995n }
  const refused = yield* Effect.flip(read({ id: String(ID), balance: "99999999999999999999" }))
  console.log(refused._tag) // => SchemaError
})

const ID = Uuid.parseUnsafe("6e1b1a4e-0d7c-4f0e-9d53-7a1c5f0b2a10")

const program = Effect.gen(function*() {
  const cql = yield* CqlClient.CqlClient
  yield* cql`CREATE KEYSPACE bank WITH replication = {'class': 'NetworkTopologyStrategy', 'datacenter1': 3}`
  yield* cql`CREATE TABLE bank.accounts
    (id uuid PRIMARY KEY, owner text, balance bigint, rate decimal, opened timestamp, tags set<text>, seal blob)`
  const opened = new Date("2026-12-01T08:00:00Z")
  const more = { opened, tags: new Set(["new", "vip"]), seal: Uint8Array.of(1, 255) }
  const row = cql.insert({ id: ID, owner: "Ada", balance: 2n ** 53n + 1n, rate: "1.90", ...more })
  yield* cql`INSERT INTO bank.accounts ${row}`
  yield* plain
  yield* typed
  yield* incoming
})

await Effect.runPromise(Effect.provide(program, Cql))
