/**
 * Models of `express-cassandra`: `express-cassandra.mjs HOST PORT DATACENTER COPIES` prints what they read as one line of JSON. The
 * package is not among the workspace's: it is taken from below `MODULES`.
 */
import { createRequire } from "node:module"
import { join } from "node:path"

const require = createRequire(join(process.env.MODULES ?? process.cwd(), "package.json"))
const ExpressCassandra = require("express-cassandra")

const [host, port, datacenter, copies] = process.argv.slice(2)
const keyspace = "express"
const models = ExpressCassandra.createClient({
  clientOptions: {
    contactPoints: [host],
    localDataCenter: datacenter,
    protocolOptions: { port: Number(port) },
    keyspace,
    ...process.env.CQL_USERNAME === undefined
      ? {}
      : { credentials: { username: process.env.CQL_USERNAME, password: process.env.CQL_PASSWORD } },
    queryOptions: { consistency: ExpressCassandra.consistencies.quorum, prepare: true }
  },
  ormOptions: {
    defaultReplicationStrategy: { class: "NetworkTopologyStrategy", [datacenter]: Number(copies) },
    migration: "alter",
    disableTTYConfirmation: true,
    createKeyspace: true,
    udts: { address: { street: "text", zip: "int", phones: "set<text>" } }
  }
})
const out = {}

await models.initAsync()
const id = (n) => models.uuidFromString(`00000000-0000-4000-8000-${String(n).padStart(12, "0")}`)
const load = async (name, schema) => {
  const model = models.loadSchema(name, schema)
  await model.syncDBAsync()
  return model
}

const person = {
  fields: {
    id: { type: "uuid", default: { $db_function: "uuid()" } },
    name: { type: "varchar", default: "no name" },
    surname: "text",
    age: { type: "int", rule: { validator: (value) => value >= 0, message: "an age is not below 0" } },
    full: {
      type: "text",
      virtual: {
        get() {
          return `${this.name} ${this.surname}`
        }
      }
    },
    home: { type: "frozen", typeDef: "<address>" },
    tags: { type: "set", typeDef: "<text>" },
    notes: { type: "list", typeDef: "<text>" },
    marks: { type: "map", typeDef: "<text, int>" },
    active: "boolean",
    big: "varint",
    balance: "decimal",
    seen: "timestamp",
    photo: "blob"
  },
  key: ["id"],
  indexes: ["name"],
  options: { timestamps: { createdAt: "created_at", updatedAt: "updated_at" }, versions: { key: "__v1" } },
  methods: {
    greet() {
      return `I am ${this.name}`
    }
  }
}
const Person = await load("person", person)
const Event = await load("event", {
  fields: {
    source: "text",
    day: "int",
    seq: "int",
    note: { type: "text", static: true },
    payload: "text"
  },
  key: [["source", "day"], "seq"],
  clustering_order: { seq: "desc" },
  table_name: "events"
})
const Hits = await load("hits", { fields: { page: "text", n: "counter" }, key: ["page"] })

// Save and find
const kim = new Person({
  id: id(1),
  name: "Kim",
  surname: "Lee",
  age: 33,
  home: { street: "Main 1", zip: 12345, phones: ["2", "1"] },
  tags: ["b", "a"],
  notes: ["x", "y"],
  marks: { good: 1 },
  active: true,
  big: models.datatypes.Integer.fromString("1208925819614629174706176"),
  balance: models.datatypes.BigDecimal.fromString("12.50"),
  seen: new Date("2024-02-29T12:34:56.789Z"),
  photo: Buffer.from([0, 255, 16])
})
await kim.saveAsync()
const found = await Person.findOneAsync({ id: id(1) })
out.kim = {
  full: found.full,
  greets: found.greet(),
  age: found.age,
  home: found.home,
  tags: found.tags,
  notes: found.notes,
  marks: found.marks,
  active: found.active,
  big: String(found.big),
  balance: String(found.balance),
  seen: found.seen,
  photo: found.photo.toString("hex"),
  stamped: [
    found.created_at instanceof Date,
    found.updated_at instanceof Date,
    models.datatypes.TimeUuid === found.__v1.constructor
  ]
}
await new Person({ surname: "Default" }).saveAsync()
out.defaults = (await Person.findAsync({ name: "no name" })).map(({ surname }) => surname)
out.nobody = (await Person.findOneAsync({ id: id(404) })) ?? null
try {
  await new Person({ id: id(9), age: -1 }).saveAsync()
} catch (error) {
  out.invalid = error.message
}

// Find with everything there is to say
for (let seq = 0; seq < 50; seq++) await new Event({ source: "web", day: 1, seq, payload: `p${seq}` }).saveAsync()
await Event.updateAsync({ source: "web", day: 1 }, { note: "busy" })
const events = async (query, options) =>
  (await Event.findAsync({ source: "web", day: 1, ...query }, { raw: true, ...options })).map((row) => row.seq)
out.newest = await events({ $limit: 3 })
out.oldest = await events({ $orderby: { $asc: "seq" }, $limit: 2 })
out.between = await events({ seq: { $gt: 10, $lte: 13 } })
out.in = await events({ seq: { $in: [3, 5, 99] } })
out.filtered = await events({ payload: "p7" }, { allow_filtering: true })
out.selected = await Event.findAsync({ source: "web", day: 1, $limit: 1 }, {
  raw: true,
  select: ["seq", "note", "payload as text", "ttl(payload) as left"]
})
out.counted = await Event.findAsync({ source: "web", day: 1 }, {
  raw: true,
  select: ["count(seq) as n", "max(seq) as newest"]
})
  .then(([row]) => [String(row.n), row.newest])
out.distinct = await Event.findAsync({}, { raw: true, distinct: true, select: ["source", "day"] })
out.token = (await Event.findAsync({
  $token: { "source, day": { $gt: models.datatypes.Long.fromString("-9223372036854775807") } }
}, {
  raw: true,
  select: ["seq"]
}).catch((error) => error.message)).length
const streamed = await new Promise((resolve, reject) => {
  let rows = 0
  Event.stream({ source: "web", day: 1 }, { raw: true, fetchSize: 7 }, (reader) => {
    while (reader.readRow()) rows++
  }, (error) => error ? reject(error) : resolve(rows))
})
const paged = []
await new Promise((resolve, reject) => {
  const next = (pageState) => {
    let rows = 0
    Event.eachRow({ source: "web", day: 1 }, { raw: true, fetchSize: 20, pageState }, () => rows++, (error, result) => {
      if (error) return reject(error)
      paged.push(rows)
      if (result.pageState) next(result.pageState)
      else resolve()
    })
  }
  next()
})
out.pages = [streamed, ...paged]

// Update, conditions, times to live
await Person.updateAsync({ id: id(1) }, {
  age: 34,
  tags: { $add: ["c"] },
  notes: { $prepend: ["w"] },
  marks: { $add: { bad: 2 } }
})
await Person.updateAsync({ id: id(1) }, {
  tags: { $remove: ["a"] },
  notes: { $append: ["z"] },
  marks: { $remove: { good: 1 } }
})
const again = await Person.findOneAsync({ id: id(1) })
again.home = { street: "Side 2", zip: 54321, phones: [] }
again.balance = null
await again.saveAsync()
const last = await Person.findOneAsync({ id: id(1) }, { raw: true })
out.updated = [last.age, last.tags, last.notes, last.marks, last.home, last.balance, last.updated_at >= last.created_at]
const applied = (result) => result.rows[0]["[applied]"]
out.conditions = [
  applied(await new Event({ source: "cas", day: 1, seq: 1, payload: "first" }).saveAsync({ if_not_exist: true })),
  applied(await new Event({ source: "cas", day: 1, seq: 1, payload: "second" }).saveAsync({ if_not_exist: true })),
  applied(
    await Event.updateAsync({ source: "cas", day: 1, seq: 1 }, { payload: "third" }, {
      conditions: { payload: "second" }
    })
  ),
  applied(
    await Event.updateAsync({ source: "cas", day: 1, seq: 1 }, { payload: "third" }, {
      conditions: { payload: "first" }
    })
  ),
  applied(await Event.updateAsync({ source: "cas", day: 1, seq: 2 }, { payload: "none" }, { if_exists: true }))
]
await new Event({ source: "ttl", day: 1, seq: 1, payload: "short" }).saveAsync({ ttl: 600 })
const [{ left }] = await Event.findAsync({ source: "ttl", day: 1 }, { raw: true, select: ["ttl(payload) as left"] })
out.ttl = left > 590 && left <= 600

// Batches, counters, statements of one's own
await models.doBatchAsync([
  new Event({ source: "batch", day: 1, seq: 1, payload: "saved" }).save({ return_query: true }),
  Event.update({ source: "batch", day: 1, seq: 2 }, { payload: "updated" }, { return_query: true }),
  Event.delete({ source: "web", day: 1, seq: 49 }, { return_query: true })
])
out.batched = [
  await Event.findAsync({ source: "batch", day: 1 }, { raw: true, select: ["seq", "payload"] }),
  await events({ $limit: 1 })
]
await Hits.updateAsync({ page: "/" }, { n: models.datatypes.Long.fromInt(5) })
await Hits.updateAsync({ page: "/" }, { n: models.datatypes.Long.fromInt(-2) })
out.counter = String((await Hits.findOneAsync({ page: "/" })).n)
const { rows } = await Event.execute_queryAsync("SELECT seq FROM events WHERE source = ? AND day = ? LIMIT 2", [
  "web",
  1
], { prepare: true })
out.own = rows.map(({ seq }) => seq)

// Delete
await again.deleteAsync()
await Event.deleteAsync({ source: "web", day: 1, seq: 0 })
out.deleted = [
  (await Person.findOneAsync({ id: id(1) })) ?? null,
  await events({ $orderby: { $asc: "seq" }, $limit: 1 })
]
await Event.truncateAsync()
out.truncated = (await Event.findAsync({}, { raw: true })).length

// A field more, and the table is altered; all is as it was said, and nothing is done again.
const Grown = await load("person", { ...person, fields: { ...person.fields, nick: "text" } })
await new Grown({ id: id(2), name: "Sam", nick: "sammy" }).saveAsync()
out.grown = (await Grown.findOneAsync({ id: id(2) })).nick
const cql = await new Promise((resolve, reject) =>
  Grown.get_cql_client((error, client) => error ? reject(error) : resolve(client))
)
const described = await cql.metadata.getTable(keyspace, "person")
out.columns = described.columns.map(({ name }) => name).sort()
out.indexes = described.indexes.map(({ target }) => target)

await cql.execute(`DROP KEYSPACE ${keyspace}`)
await models.closeAsync()
console.log(JSON.stringify(out))
process.exit(0)
