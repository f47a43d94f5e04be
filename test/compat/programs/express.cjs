// Models of express-cassandra, which requires cassandra-driver itself. Prints what they answer, as JSON.
"use strict"
const ExpressCassandra = require("express-cassandra")

const [contactPoint, datacenter, keyspace] = process.argv.slice(2)
const [host, port] = contactPoint.split(":")

const main = async () => {
  const models = ExpressCassandra.createClient({
    clientOptions: {
      contactPoints: [host],
      localDataCenter: datacenter,
      protocolOptions: { port: Number(port) },
      keyspace,
      queryOptions: { consistency: ExpressCassandra.consistencies.one }
    },
    ormOptions: {
      defaultReplicationStrategy: { class: "SimpleStrategy", replication_factor: 1 },
      migration: "safe"
    }
  })
  const Person = models.loadSchema("Person", {
    fields: {
      name: "text",
      surname: "text",
      age: "int",
      id: { type: "uuid", default: { $db_function: "uuid()" } },
      created: { type: "timestamp", default: () => new Date(0) },
      tags: { type: "set", typeDef: "<text>" },
      props: { type: "map", typeDef: "<text, int>" },
      scores: { type: "list", typeDef: "<bigint>" }
    },
    key: [["name"], "surname"],
    table_name: "person"
  })
  const Count = models.loadSchema("Count", {
    fields: { k: "text", c: "counter" },
    key: ["k"],
    table_name: "counts_orm"
  })
  await Person.syncDBAsync()
  await Count.syncDBAsync()
  const out = {}
  out.saved = await new Person({
    name: "Ann",
    surname: "A",
    age: 30,
    tags: ["x", "y"],
    props: { a: 1 },
    scores: [models.datatypes.Long.fromNumber(5)]
  }).saveAsync()
  await new Person({ name: "Ann", surname: "B", age: 40 }).saveAsync()
  const found = await Person.findAsync({ name: "Ann" })
  out.found = found.map((person) => Object.assign(person.toJSON(), { id: typeof person.id.toString() }))
  out.one = (await Person.findOneAsync({ name: "Ann", surname: "A" })).age
  out.raw = await Person.findAsync({ name: "Ann" }, { raw: true, select: ["surname", "age"] })
  await Person.updateAsync({ name: "Ann", surname: "A" }, { age: 31, tags: { $add: ["z"] } })
  out.updated = (await Person.findOneAsync({ name: "Ann", surname: "A" })).toJSON().tags
  out.lwt = await Person.updateAsync({ name: "Ann", surname: "A" }, { age: 32 }, { conditions: { age: 31 } })
  const one = await Person.findOneAsync({ name: "Ann", surname: "B" })
  one.age = 41
  await one.saveAsync()
  const queries = [
    new Person({ name: "Bob", surname: "C", age: 1 }).save({ return_query: true }),
    Person.update({ name: "Ann", surname: "B" }, { age: 42 }, { return_query: true })
  ]
  await models.doBatchAsync(queries)
  out.batched = [
    (await Person.findOneAsync({ name: "Bob" })).age,
    (await Person.findOneAsync({ name: "Ann", surname: "B" })).age
  ]
  await Count.updateAsync({ k: "a" }, { c: models.datatypes.Long.fromInt(2) })
  out.counter = String((await Count.findOneAsync({ k: "a" })).c)
  out.rows = await new Promise((resolve, reject) => {
    const rows = []
    Person.eachRow({ name: "Ann" }, { fetchSize: 1 }, (n, row) => rows.push(row.surname), (error, result) => {
      if (error) return reject(error)
      if (result.nextPage) result.nextPage()
      else resolve(rows)
    })
  })
  out.streamed = await new Promise((resolve, reject) => {
    const rows = []
    Person.stream({ name: "Ann" }, {}, (reader) => {
      for (let row = reader.readRow(); row; row = reader.readRow()) rows.push(row.surname)
    }, (error) => error ? reject(error) : resolve(rows))
  })
  await Person.deleteAsync({ name: "Bob", surname: "C" })
  out.gone = !(await Person.findOneAsync({ name: "Bob" }))
  out.wrong = await Person.findAsync({ nothing: 1 }).catch((error) => error.name)
  await models.closeAsync()
  console.log(JSON.stringify(out))
}

main().catch((error) => {
  console.error(error)
  process.exitCode = 1
})
