/** Mappers of objects: what their users do most, on every cluster. */
import { assert } from "@effect/vitest"
import { Effect } from "effect"
import { mappers } from "./clients.ts"
import { answersOf, suite } from "./clusters.ts"

suite(mappers.cqlengine, (cluster) =>
  Effect.gen(function*() {
    assert.deepStrictEqual(yield* answersOf(mappers.cqlengine, cluster), {
      ann: {
        name: "Ann",
        age: 33,
        tags: ["a", "b"],
        notes: ["x", "y"],
        marks: { go: 1 },
        home: ["Main 1", 12_345],
        seen: "2024-02-29T12:34:56.789000",
        // It sends decimals as the literals of floats.
        balance: "12.5",
        active: true
      },
      bob: [18],
      people: 2,
      nobody: true,
      several: true,
      // It does not notice a field that was set after an update.
      updated: [34, ["b", "c", "d"], ["w", "x", "y", "z"], { go: 7, rust: 2 }, ["Main 1", 12_345], null],
      remaining: ["Ann"],
      newest: [19, 18, 17],
      oldest: [0, 1, 2],
      between: [[5, "write"], [4, "write"]],
      in: ["t7", "t1"],
      starred: [4, 9, 14, 19],
      titles: ["t19", "t18"],
      only: [[19, "t19"]],
      distinct: [["b", 2024]],
      scanned: [31, 31],
      batched: [[100, "changed"]],
      visits: 4,
      exists: true,
      condition: { "[applied]": false, title: "first" },
      won: "third",
      ttl: true,
      grown: "https://example.com",
      table: ["what people write", 3600, ["blog", "link", "motto", "number", "stars", "title", "year"]],
      sql:
        'SELECT "number", "motto", "title", "stars" FROM engine.post WHERE "blog" = %(0)s AND "year" = %(1)s LIMIT 1',
      tables: ["person", "post"]
    })
  }))

const id = (n: number) => `00000000-0000-4000-8000-${String(n).padStart(12, "0")}`

suite(mappers.mapper, (cluster) =>
  Effect.gen(function*() {
    const first = {
      addedDate: "2024-02-29T12:34:56.789Z",
      id: id(1),
      length: "1h30m",
      notes: ["x"],
      ratings: { good: 1 },
      shotAt: { street: "Main 1", zip: 12_345 },
      tags: ["a", "b"],
      userId: id(100),
      videoName: "First",
      views: 7
    }
    const changed = { notes: ["w", "x"], ratings: { bad: 2, good: 1 }, tags: ["b", "c"], videoName: "Changed" }
    // ScyllaDB shows the row that is not there as one of nulls, Cassandra shows none.
    const absent = cluster.product === "scylla"
      ? [Object.fromEntries(Object.keys(first).map((name) => [name, null]))]
      : []
    assert.deepStrictEqual(yield* answersOf(mappers.mapper, cluster), {
      get: first,
      nobody: null,
      some: { id: id(2), videoName: "Video 2" },
      newest: ["First", "Video 30", "Video 29"],
      oldest: ["Video 2", "Video 3"],
      between: ["Video 12", "Video 11", "Video 10"],
      in: ["Video 3", "Video 5"],
      static: [{ userName: "kim", videoName: "First" }],
      pages: [12, 12, 6],
      all: 30,
      updated: changed,
      conditions: [
        // Rows of a condition do not go through the functions of the model.
        [false, { ...first, ...changed, views: "7" }],
        [false, { videoName: "Changed" }],
        [true],
        [false, ...absent]
      ],
      ttl: true,
      batched: [{ videoName: "Batched" }, { videoName: "Batched, too" }, null],
      counters: { ratingCounter: "2", ratingTotal: "3", videoId: id(1) },
      own: [{ id: id(9), videoName: "Video 9" }],
      removed: [null, 0, [false, { videoName: "Video 4" }], [true]],
      without: { notes: null, videoName: "Won" },
      errors: ["No table matches the filter (PKs): [nothing]", "No table matches the filter (PKs): [video_name]"],
      meta: {
        nodes: cluster.copies,
        partition: ["user_id"],
        clustering: [["added_date", "DESC"], ["video_id", "ASC"]],
        static: ["user_name"]
      }
    })
  }))

suite(mappers.expressCassandra, (cluster) =>
  Effect.gen(function*() {
    assert.deepStrictEqual(yield* answersOf(mappers.expressCassandra, cluster), {
      kim: {
        full: "Kim Lee",
        greets: "I am Kim",
        age: 33,
        // A frozen value is what was sent: this client sorts no set.
        home: { street: "Main 1", zip: 12_345, phones: ["2", "1"] },
        tags: ["a", "b"],
        notes: ["x", "y"],
        marks: { good: 1 },
        active: true,
        big: "1208925819614629174706176",
        balance: "12.50",
        seen: "2024-02-29T12:34:56.789Z",
        photo: "00ff10",
        stamped: [true, true, true]
      },
      defaults: ["Default"],
      nobody: null,
      invalid: "an age is not below 0",
      newest: [49, 48, 47],
      oldest: [0, 1],
      between: [13, 12, 11],
      in: [5, 3],
      filtered: [7],
      selected: [{ seq: 49, note: "busy", text: "p49", left: null }],
      counted: ["50", 49],
      distinct: [{ source: "web", day: 1 }],
      token: 50,
      pages: [50, 20, 20, 10],
      updated: [
        34,
        ["b", "c"],
        ["w", "x", "y", "z"],
        { bad: 2 },
        { street: "Side 2", zip: 54_321, phones: null },
        null,
        true
      ],
      conditions: [true, false, false, true, false],
      ttl: true,
      batched: [[{ seq: 2, payload: "updated" }, { seq: 1, payload: "saved" }], [48]],
      counter: "3",
      own: [48, 47],
      deleted: [null, [1]],
      truncated: 0,
      grown: "sammy",
      columns: [
        "__v1",
        "active",
        "age",
        "balance",
        "big",
        "created_at",
        "home",
        "id",
        "marks",
        "name",
        "nick",
        "notes",
        "photo",
        "seen",
        "surname",
        "tags",
        "updated_at"
      ],
      indexes: ["name"]
    })
  }))
