/** The keyspace of the golden files: every type of CQL, alone and nested, and every kind of table. */

export const KEYSPACE = "shop"

/** Every scalar type that a column of a table without counters can have. */
export const SCALARS = [
  "ascii",
  "bigint",
  "blob",
  "boolean",
  "date",
  "decimal",
  "double",
  "duration",
  "float",
  "inet",
  "int",
  "smallint",
  "text",
  "time",
  "timestamp",
  "timeuuid",
  "tinyint",
  "uuid",
  "varint"
]

const NESTED: Readonly<Record<string, string>> = {
  list_of: "list<int>",
  set_of: "set<date>",
  map_of: "map<text, bigint>",
  pair_of: "tuple<smallint, text>",
  deep: "map<int, frozen<list<frozen<tuple<tinyint, decimal>>>>>",
  home: "address",
  work: "frozen<address>",
  people: "map<text, frozen<person>>",
  homes: "set<frozen<address>>"
}

/** What only Cassandra 5 has. */
export const VECTORS: Readonly<Record<string, string>> = {
  near: "vector<float, 3>",
  far: "vector<text, 2>",
  whole: "vector<decimal, 2>",
  deep_vector: "list<frozen<vector<float, 2>>>"
}

const columnsOf = (columns: Readonly<Record<string, string>>): string =>
  Object.entries(columns).map(([name, type]) => `${name} ${type}`).join(", ")

export const CREATE: ReadonlyArray<string> = [
  `CREATE TYPE ${KEYSPACE}.address (street text, zip int, since date)`,
  // Before what it is made of, by name.
  `CREATE TYPE ${KEYSPACE}.a_person (home frozen<address>, "fullName" text)`,
  `CREATE TYPE ${KEYSPACE}.person (name text, homes frozen<list<frozen<address>>>, born timestamp, ratio decimal)`,
  `CREATE TABLE ${KEYSPACE}.scalars (id int PRIMARY KEY, ${SCALARS.map((type) => `c_${type} ${type}`).join(", ")})`,
  `CREATE TABLE ${KEYSPACE}.nested (id int PRIMARY KEY, ${columnsOf(NESTED)})`,
  `CREATE TABLE ${KEYSPACE}.vectors (id int PRIMARY KEY, ${columnsOf(VECTORS)})`,
  `CREATE TABLE ${KEYSPACE}.hits (page text PRIMARY KEY, seen counter)`,
  `CREATE TABLE ${KEYSPACE}.order_items (shop text, customer uuid, at timestamp, number int, price decimal, note text, PRIMARY KEY ((shop, customer), at, number)) WITH CLUSTERING ORDER BY (at DESC, number ASC) AND comment = 'What was bought */ and when'`,
  `CREATE TABLE ${KEYSPACE}.rooms (house text, number int, address frozen<address> static, size double, PRIMARY KEY (house, number))`,
  `CREATE TABLE ${KEYSPACE}."OrderItems" ("orderId" uuid PRIMARY KEY, "the price" decimal, "__proto__" int, class text)`,
  `CREATE TABLE ${KEYSPACE}."schema" (id int PRIMARY KEY, "type" text)`,
  `CREATE INDEX by_note ON ${KEYSPACE}.order_items (note)`
]
