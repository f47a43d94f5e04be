/** The mapper of `cassandra-driver`: `mapper.mjs HOST PORT DATACENTER COPIES` prints what it read as one line of JSON. */
import cassandra from "cassandra-driver"

const { Client, mapping, types } = cassandra
const { Mapper, UnderscoreCqlToCamelCaseMappings, q } = mapping

const [host, port, datacenter, copies] = process.argv.slice(2)
const keyspace = "mapper"
const client = new Client({
  contactPoints: [host],
  protocolOptions: { port: Number(port) },
  localDataCenter: datacenter,
  ...process.env.CQL_USERNAME === undefined
    ? {}
    : { credentials: { username: process.env.CQL_USERNAME, password: process.env.CQL_PASSWORD } }
})
await client.connect()
const run = (statement) => client.execute(statement)

await run(
  `CREATE KEYSPACE ${keyspace} WITH replication = {'class': 'NetworkTopologyStrategy', 'replication_factor': ${copies}}`
)
await run(`CREATE TYPE ${keyspace}.address (street text, zip int)`)
await run(
  `CREATE TABLE ${keyspace}.videos (video_id uuid PRIMARY KEY, user_id uuid, video_name text, added_date timestamp, tags set<text>,
    ratings map<text, int>, notes list<text>, shot_at frozen<address>, length duration, views bigint)`
)
await run(
  `CREATE TABLE ${keyspace}.user_videos (user_id uuid, added_date timestamp, video_id uuid, user_name text static, video_name text,
    PRIMARY KEY (user_id, added_date, video_id)) WITH CLUSTERING ORDER BY (added_date DESC, video_id ASC)`
)
await run(
  `CREATE TABLE ${keyspace}.video_rating (video_id uuid PRIMARY KEY, rating_counter counter, rating_total counter)`
)

const mapper = new Mapper(client, {
  models: {
    Video: {
      keyspace,
      tables: ["videos", "user_videos"],
      mappings: new UnderscoreCqlToCamelCaseMappings(),
      columns: {
        video_id: "id",
        views: {
          toModel: (value) => value === null ? null : Number(value),
          fromModel: (value) => types.Long.fromNumber(value)
        }
      }
    },
    Rating: { keyspace, tables: ["video_rating"], mappings: new UnderscoreCqlToCamelCaseMappings() }
  }
})
const videos = mapper.forModel("Video")
const ratings = mapper.forModel("Rating")

const id = (n) => types.Uuid.fromString(`00000000-0000-4000-8000-${String(n).padStart(12, "0")}`)
const shown = (doc) =>
  doc === null ? null : Object.fromEntries(
    Object.entries(doc).filter(([, value]) => value !== undefined).map(([name, value]) => [
      name,
      value instanceof types.Uuid || value instanceof types.Long || value instanceof types.Duration
        ? String(value)
        : value
    ]).sort(([a], [b]) => a < b ? -1 : 1)
  )
const out = {}

// Insert goes to every table that has all its keys in the document.
await videos.insert({
  id: id(1),
  userId: id(100),
  videoName: "First",
  addedDate: new Date("2024-02-29T12:34:56.789Z"),
  tags: ["b", "a"],
  ratings: { good: 1 },
  notes: ["x"],
  shotAt: { street: "Main 1", zip: 12345 },
  length: types.Duration.fromString("1h30m"),
  views: 7
}, { fields: ["id", "userId", "videoName", "addedDate", "tags", "ratings", "notes", "shotAt", "length", "views"] })
for (let n = 2; n <= 30; n++) {
  await videos.insert({
    id: id(n),
    userId: id(100),
    userName: "kim",
    addedDate: new Date(Date.UTC(2024, 0, n)),
    videoName: `Video ${n}`
  })
}
out.get = shown(await videos.get({ id: id(1) }))
out.nobody = shown(await videos.get({ id: id(404) }))
out.some = shown(await videos.get({ id: id(2) }, { fields: ["id", "videoName"] }))

// Find: by a partition, in ranges, in order, with a limit, in pages.
const found = async (doc, info) => (await videos.find(doc, info)).toArray().map(shown)
const names = async (doc, info) => (await found(doc, info)).map(({ videoName }) => videoName)
out.newest = await names({ userId: id(100) }, { fields: ["videoName"], limit: 3 })
out.oldest = await names({ userId: id(100) }, { fields: ["videoName"], limit: 2, orderBy: { addedDate: "asc" } })
out.between = await names({
  userId: id(100),
  addedDate: q.and(q.gte(new Date("2024-01-10")), q.lt(new Date("2024-01-13")))
}, { fields: ["videoName"] })
out.in = (await names({ id: q.in_([id(3), id(5)]) }, { fields: ["videoName"] })).sort()
out.static = await found({ userId: id(100) }, { fields: ["userName", "videoName"], limit: 1 })
const pages = []
let pageState
do {
  const page = await videos.find({ userId: id(100) }, { fields: ["videoName"] }, { fetchSize: 12, pageState })
  pages.push(page.toArray().length)
  pageState = page.pageState
} while (pageState !== undefined && pageState !== null)
out.pages = pages
out.all = (await videos.findAll({ fields: ["id"] })).toArray().length

// Update: collections, conditions, times to live.
await videos.update({
  id: id(1),
  videoName: "Changed",
  tags: q.append(["c"]),
  notes: q.prepend(["w"]),
  ratings: q.append({ bad: 2 })
})
await videos.update({ id: id(1), tags: q.remove(["a"]) })
out.updated = shown(await videos.get({ id: id(1) }, { fields: ["videoName", "tags", "notes", "ratings"] }))
const applied = async (result) => [result.wasApplied(), ...result.wasApplied() ? [] : result.toArray().map(shown)]
out.conditions = [
  await applied(
    await videos.insert({ id: id(1), videoName: "Again" }, { ifNotExists: true, fields: ["id", "videoName"] })
  ),
  await applied(await videos.update({ id: id(1), videoName: "Lost" }, { when: { videoName: "Other" } })),
  await applied(
    await videos.update({ id: id(1), videoName: "Won" }, { when: { videoName: q.in_(["Other", "Changed"]) } })
  ),
  await applied(await videos.update({ id: id(404), videoName: "None" }, { ifExists: true }))
]
await videos.insert({ id: id(50), videoName: "Short" }, { ttl: 600, fields: ["id", "videoName"] })
const { rows: [short] } = await run(`SELECT ttl(video_name) AS ttl FROM ${keyspace}.videos WHERE video_id = ${id(50)}`)
out.ttl = short.ttl > 590 && short.ttl <= 600

// Batches over several tables, counters, and statements of one's own.
await mapper.batch([
  videos.batching.insert({ id: id(60), videoName: "Batched" }),
  videos.batching.update({ id: id(50), videoName: "Batched, too" }),
  videos.batching.remove({ id: id(3) })
])
out.batched = [
  shown(await videos.get({ id: id(60) }, { fields: ["videoName"] })),
  shown(await videos.get({ id: id(50) }, { fields: ["videoName"] })),
  shown(await videos.get({ id: id(3) }))
]
await ratings.update({ videoId: id(1), ratingCounter: q.incr(1), ratingTotal: q.incr(5) })
await ratings.update({ videoId: id(1), ratingCounter: q.incr(1), ratingTotal: q.decr(2) })
out.counters = shown(await ratings.get({ videoId: id(1) }))
const byUser = videos.mapWithQuery(
  `SELECT video_id, video_name FROM ${keyspace}.user_videos WHERE user_id = ? AND added_date = ?`,
  ({ userId, addedDate }) => [userId, addedDate]
)
out.own = (await byUser({ userId: id(100), addedDate: new Date(Date.UTC(2024, 0, 9)) })).toArray().map(shown)

// Remove: a row from all its tables, a part of a row, under a condition.
await videos.remove({ id: id(2), userId: id(100), addedDate: new Date(Date.UTC(2024, 0, 2)) })
out.removed = [
  shown(await videos.get({ id: id(2) })),
  (await found({ userId: id(100), addedDate: new Date(Date.UTC(2024, 0, 2)) })).length,
  await applied(await videos.remove({ id: id(4) }, { when: { videoName: "Other" } })),
  await applied(await videos.remove({ id: id(4) }, { when: { videoName: "Video 4" } }))
]
await videos.remove({ id: id(1), notes: null }, { deleteOnlyColumns: true, fields: ["id", "notes"] })
out.without = shown(await videos.get({ id: id(1) }, { fields: ["notes", "videoName"] }))

// What is refused
out.errors = []
for (const doc of [{ nothing: 1 }, { videoName: "x" }]) {
  try {
    await videos.find(doc)
    out.errors.push("none")
  } catch (error) {
    out.errors.push(error.message)
  }
}
const table = await client.metadata.getTable(keyspace, "user_videos")
out.meta = {
  nodes: client.hosts.length,
  partition: table.partitionKeys.map(({ name }) => name),
  clustering: table.clusteringKeys.map(({ name }, i) => [name, table.clusteringOrder[i]]),
  static: table.columns.filter(({ isStatic }) => isStatic).map(({ name }) => name)
}

await run(`DROP KEYSPACE ${keyspace}`)
await client.shutdown()
console.log(JSON.stringify(out))
