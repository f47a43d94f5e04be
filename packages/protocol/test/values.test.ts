import { Consistency, ProtocolError, Uuid, Value } from "@effect-scylla/protocol"
import { assert, describe, it } from "@effect/vitest"
import * as Equal from "effect/Equal"
import * as Hash from "effect/Hash"
import { inspect } from "node:util"
import { Random } from "./support/random.ts"

const text = "550e8400-e29b-41d4-a716-446655440000"

/** Equal, of one hash, and unequal to the others. */
const areDistinct = (make: ReadonlyArray<() => Equal.Equal>): boolean => {
  for (const [i, a] of make.entries()) {
    for (const [j, b] of make.entries()) {
      assert.strictEqual(Equal.equals(a(), b()), i === j, `${String(a())} ${String(b())}`)
      if (i === j) assert.strictEqual(Hash.hash(a()), Hash.hash(b()))
    }
    assert.isFalse(Equal.equals(a(), String(a())))
  }
  return true
}

describe("Uuid", () => {
  it("reads what it prints", () => {
    const random = new Random(3)
    for (let i = 0; i < 1000; i++) {
      const bytes = random.bytes(16)
      const uuid = Uuid.fromBytes(bytes)
      const hex = Buffer.from(bytes).toString("hex")
      const canonical = hex.replace(/^(.{8})(.{4})(.{4})(.{4})(.{12})$/, "$1-$2-$3-$4-$5")
      assert.strictEqual(uuid.toString(), canonical)
      assert.deepStrictEqual(uuid.toBytes(), bytes)
      assert.isTrue(Uuid.parse(canonical)!.equals(uuid))
      assert.isTrue(Uuid.parse(canonical.toUpperCase())!.equals(uuid))
    }
    assert.strictEqual(JSON.stringify({ id: Uuid.parse(text) }), `{"id":"${text}"}`)
    assert.strictEqual(inspect(Uuid.parse(text)), `Uuid(${text})`)
    assert.strictEqual(`${String(Uuid.parse(text))}`, text)
  })

  it("refuses everything else", () => {
    const wrong = [
      "",
      text.slice(1),
      `${text}0`,
      `{${text}}`,
      text.replaceAll("-", ""),
      text.replace("-", "_"),
      text.replace("5", "g"),
      text.replace("5", "٥"),
      text.replace("5", "/"),
      text.replace("5", ":"),
      text.replace("5", "@"),
      text.replace("5", "`"),
      text.replace("-e", "e-"),
      " ".repeat(36),
      "-".repeat(36)
    ]
    for (const value of wrong) {
      assert.isUndefined(Uuid.parse(value), value)
      assert.throws(() => Uuid.parseUnsafe(value), TypeError)
    }
    assert.strictEqual(String(Uuid.parseUnsafe(text)), text)
  })

  it("never reads past its bytes", () => {
    const all = new Uint8Array(64).fill(7)
    for (const [bytes, offset] of [[all.subarray(0, 15), 0], [all.subarray(0, 16), 1], [all, 49], [all, -1]] as const) {
      assert.throws(() => Uuid.fromBytes(bytes, offset), ProtocolError.DecodeError)
    }
    assert.strictEqual(Uuid.fromBytes(all, 48).d, 0x07070707)
    assert.strictEqual(Uuid.fromBytes(all.subarray(10), 3).a, 0x07070707)
  })

  it("equality and hash", () => {
    const all = areDistinct([
      () => Uuid.parse(text)!,
      () => new Uuid.Uuid(1, 2, 3, 4),
      () => new Uuid.Uuid(4, 3, 2, 1),
      () => new Uuid.Uuid(0, 0, 0, 0),
      () => new Uuid.Uuid(0xffffffff, -1, -1, -1)
    ])
    assert.isTrue(all)
    assert.isTrue(new Uuid.Uuid(0xffffffff, 0, 0, 0).equals(new Uuid.Uuid(-1, 0, 0, 0)))
  })

  it("random ones differ, have version 4 and the variant of RFC 9562, and every other bit varies", () => {
    const seen = new Set<string>()
    const ones = Array.from({ length: 128 }, () => 0)
    for (let i = 0; i < 2000; i++) {
      const uuid = Uuid.random()
      seen.add(uuid.toString())
      assert.strictEqual(uuid.version, 4)
      assert.isUndefined(uuid.timestamp)
      const bytes = uuid.toBytes()
      for (let bit = 0; bit < 128; bit++) ones[bit]! += (bytes[bit >> 3]! >> (7 - (bit & 7))) & 1
    }
    assert.strictEqual(seen.size, 2000)
    const fixed = new Map([[48, 0], [49, 1], [50, 0], [51, 0], [64, 1], [65, 0]])
    for (const [bit, count] of ones.entries()) {
      const set = fixed.get(bit)
      if (set === undefined) assert.isTrue(count > 800 && count < 1200, `bit ${bit} is set ${count} times`)
      else assert.strictEqual(count, set * 2000, `bit ${bit}`)
    }
  })

  it("time-based ones carry their instant", () => {
    assert.strictEqual(Uuid.parse("50554d6e-29bb-11e5-b345-feff819cdc9f")!.timestamp, 1_436_832_018_805)
    for (const millis of [0, 1, -1, 1_790_000_000_123, -12_219_292_800_000, 103_072_857_660_684, Date.now()]) {
      const uuid = Uuid.fromTimestamp(millis)
      assert.strictEqual(uuid.version, 1)
      assert.strictEqual(uuid.timestamp, millis)
      assert.strictEqual(uuid.c >>> 30, 2, "variant")
      assert.isFalse(uuid.equals(Uuid.fromTimestamp(millis)))
      assert.isTrue(
        Uuid.fromTimestamp(millis, { node: 5n, clock: 6 }).equals(Uuid.fromTimestamp(millis, { node: 5n, clock: 6 }))
      )
    }
    assert.strictEqual(Uuid.fromTimestamp(1.9, { node: 0n, clock: 0 }).timestamp, 1)
    // 100 ns before 1970: the millisecond that it lies in began earlier.
    const uuid = Uuid.fromTimestamp(-1, { node: 0n, clock: 0 })
    assert.strictEqual(new Uuid.Uuid(uuid.a + 9_999, uuid.b, uuid.c, uuid.d).timestamp, -1)
    assert.strictEqual(
      String(Uuid.fromTimestamp(0, { node: 0xffffffffffffn, clock: 0x3fff })),
      "13814000-1dd2-11b2-bfff-ffffffffffff"
    )
    for (const millis of [-12_219_292_800_001, 103_072_857_660_685, 8.64e15, NaN, Infinity]) {
      assert.throws(() => Uuid.fromTimestamp(millis), RangeError)
    }
    // A random node sets the multicast bit: it is nobody's network card.
    assert.strictEqual(Uuid.fromTimestamp(0).toBytes()[10]! & 1, 1)
  })
})

describe("time-based UUIDs in order", () => {
  const ordered = (uuids: ReadonlyArray<Uuid.Uuid>): void => {
    for (let i = 1; i < uuids.length; i++) {
      assert.strictEqual(Uuid.compareTime(uuids[i - 1]!, uuids[i]!), -1, `${i}: ${uuids[i - 1]}, ${uuids[i]}`)
    }
  }

  it("now() is later each time, whatever the clock does", () => {
    const before = Date.now()
    const made = Array.from({ length: 3000 }, () => Uuid.now())
    ordered(made)
    for (const uuid of made) {
      assert.strictEqual(uuid.version, 1)
      assert.strictEqual(uuid.c >>> 30, 2, "variant")
      assert.isAtLeast(uuid.timestamp!, before)
    }
    assert.strictEqual(new Set(made.map((uuid) => `${uuid.c} ${uuid.d}`)).size, 1, "one node and clock sequence")
  })

  it("a clock that stands, is overrun, goes back and goes on", () => {
    let millis = 1_790_000_000_000
    const next = Uuid.generator(() => millis, { node: 1n, clock: 2 })
    const made = Array.from({ length: 25_000 }, next)
    assert.strictEqual(made[0]!.timestamp, millis)
    assert.strictEqual(made[9_999]!.timestamp, millis)
    // More than 10,000 within a millisecond run ahead of it.
    assert.strictEqual(made[24_999]!.timestamp, millis + 2)
    millis -= 60_000
    made.push(next(), next())
    millis += 60_003
    made.push(next())
    assert.strictEqual(made.at(-1)!.timestamp, millis)
    ordered(made)
    assert.strictEqual(String(made[0]).slice(19), "8002-000000000001")
  })

  it("two sources do not meet", () => {
    const [one, other] = [Uuid.generator(() => 0)(), Uuid.generator(() => 0)()]
    assert.strictEqual(one.timestamp, other.timestamp)
    assert.isFalse(one.equals(other))
  })

  it("fromTimestamp() for one instant in a row", () => {
    const made = Array.from({ length: 300 }, () => Uuid.fromTimestamp(1_790_000_000_123))
    ordered(made)
    for (const uuid of made) assert.strictEqual(uuid.timestamp, 1_790_000_000_123)
    // At the end of what 60 bits hold there is less room than a millisecond.
    for (let i = 0; i < 8000; i++) Uuid.fromTimestamp(103_072_857_660_684)
    assert.strictEqual(Uuid.fromTimestamp(103_072_857_660_684).timestamp, 103_072_857_660_684)
  })

  it("min() and max() enclose all of a millisecond", () => {
    const millis = 1_436_832_018_805
    // The first and the last 100 ns of the millisecond of 50554d6e-29bb-11e5-b345-feff819cdc9f.
    assert.strictEqual(String(Uuid.min(millis)), "50552a50-29bb-11e5-8080-808080808080")
    assert.strictEqual(String(Uuid.max(new Date(millis))), "5055515f-29bb-11e5-7f7f-7f7f7f7f7f7f")
    ordered([Uuid.min(millis), Uuid.parseUnsafe("50554d6e-29bb-11e5-b345-feff819cdc9f"), Uuid.max(millis)])
    for (const node of [0n, 0x7f7f_7f7f_7f7fn, 0x8080_8080_8080n, 0xffff_ffff_ffffn, 0x00ff_7f80_0180n]) {
      for (const clock of [0, 0x7f, 0x81, 0x3fff]) {
        const uuid = Uuid.fromTimestamp(millis, { node, clock })
        ordered([Uuid.max(millis - 1), Uuid.min(millis), uuid, Uuid.max(millis), Uuid.min(millis + 1)])
      }
    }
    // The bytes behind the time are signed: 80 comes before 00, and 00 before 7f.
    const tails = [
      "8080-808080808080",
      "8080-80808080ff80",
      "8080-800000000000",
      "bfff-ffffffffff7f",
      "0000-000000000000"
    ]
    ordered(tails.map((tail) => Uuid.parseUnsafe(`50552a50-29bb-11e5-${tail}`)))
    assert.strictEqual(Uuid.compareTime(Uuid.min(0), Uuid.min(0)), 0)
    assert.strictEqual(Uuid.compareTime(Uuid.min(1), Uuid.min(0)), 1)
    for (const wrong of [NaN, Infinity, new Date(NaN), -12_219_292_800_001]) {
      assert.throws(() => Uuid.min(wrong), RangeError)
      assert.throws(() => Uuid.max(wrong), RangeError)
    }
  })
})

describe("LocalDate", () => {
  it("reads what it prints", () => {
    for (
      const [value, day] of [
        ["1970-01-01", 0],
        ["1969-12-31", -1],
        ["2000-02-29", 11_016],
        ["0000-01-01", -719_528],
        ["-0001-12-31", -719_529],
        ["9999-12-31", 2_932_896],
        ["+10000-01-01", 2_932_897],
        ["+275760-09-13", 100_000_000],
        ["-271821-04-20", -100_000_000]
      ] as const
    ) {
      assert.strictEqual(Value.LocalDate.parse(value)?.epochDay, day, value)
      assert.strictEqual(String(new Value.LocalDate(day)), value)
      assert.strictEqual(new Value.LocalDate(day).toDate().getTime(), day * 86_400_000)
      assert.strictEqual(Value.LocalDate.fromDate(new Date(day * 86_400_000)).epochDay, day)
    }
    // Past what Date knows, up to what CQL has.
    for (
      const [value, day] of [
        ["+275760-09-14", 100_000_001],
        ["-271821-04-19", -100_000_001],
        ["+5881580-07-11", 2 ** 31 - 1],
        ["-5877641-06-23", -(2 ** 31)]
      ] as const
    ) {
      assert.strictEqual(Value.LocalDate.parse(value)?.epochDay, day, value)
      assert.strictEqual(String(new Value.LocalDate(day)), value)
      assert.isTrue(new Value.LocalDate(day).isValid)
      assert.isNaN(new Value.LocalDate(day).toDate().getTime())
    }
    // As ScyllaDB has it.
    assert.strictEqual(Value.LocalDate.parse("10000-01-01")?.epochDay, 2_932_897)
    for (const day of [2 ** 31, -(2 ** 31) - 1, 0.5, NaN]) {
      assert.isFalse(new Value.LocalDate(day).isValid)
      assert.strictEqual(String(new Value.LocalDate(day)), String(day))
    }
    assert.strictEqual(Value.LocalDate.fromDate(new Date(-1)).epochDay, -1)
    assert.strictEqual(JSON.stringify(new Value.LocalDate(0)), '"1970-01-01"')
    assert.strictEqual(inspect(new Value.LocalDate(0)), "LocalDate(1970-01-01)")
  })

  it("agrees with Date on every day that both know", () => {
    let seed = 20_261_130
    const next = (): number => {
      seed = (Math.imul(seed, 1_664_525) + 1_013_904_223) >>> 0
      return seed / 2 ** 32
    }
    const days = Array.from({ length: 5000 }, () => Math.floor(next() * 200_000_001) - 100_000_000)
    for (let day = -800_000; day < -798_000; day++) days.push(day)
    for (let day = 10_000; day < 12_000; day++) days.push(day)
    for (const day of days) {
      const date = new Date(day * 86_400_000)
      const text = String(new Value.LocalDate(day))
      const year = Number(/^[+-]?\d+/.exec(text)![0])
      assert.deepStrictEqual(
        [year, ...text.slice(-5).split("-").map(Number)],
        [date.getUTCFullYear(), date.getUTCMonth() + 1, date.getUTCDate()]
      )
      assert.strictEqual(Value.LocalDate.parse(text)!.epochDay, day)
    }
  })

  it("refuses everything else", () => {
    for (
      const value of [
        "",
        "2023-02-29",
        "2023-02-30",
        "2023-13-01",
        "2023-00-01",
        "2023-01-00",
        "2023-01-32",
        "2023-1-1",
        "23-01-01",
        "+2023-01-01",
        "2023-01-01T00:00",
        "2023/01/01",
        "+5881580-07-12",
        "-5877641-06-22",
        "9999999-01-01",
        "-9999999-01-01",
        "+9999-01-01",
        "+12345678-01-01",
        "-00000-01-01",
        "-0000-01-01"
      ]
    ) {
      assert.isUndefined(Value.LocalDate.parse(value), value)
    }
  })

  it("equality", () => {
    assert.isTrue(
      areDistinct([() => new Value.LocalDate(0), () => new Value.LocalDate(1), () => new Value.LocalDate(-1)])
    )
  })
})

describe("LocalTime", () => {
  it("reads what it prints", () => {
    for (
      const [value, nanos, canonical] of [
        ["00:00", 0n, "00:00:00.000000000"],
        ["23:59:59.999999999", 86_399_999_999_999n, "23:59:59.999999999"],
        ["12:34:56", 45_296_000_000_000n, "12:34:56.000000000"],
        ["12:34:56.7", 45_296_700_000_000n, "12:34:56.700000000"],
        ["00:00:00.000000001", 1n, "00:00:00.000000001"]
      ] as const
    ) {
      const time = Value.LocalTime.parse(value)!
      assert.strictEqual(time.nanos, nanos)
      assert.strictEqual(String(time), canonical)
      assert.strictEqual(Value.LocalTime.parse(canonical)!.nanos, nanos)
      assert.isTrue(time.isValid)
    }
    assert.isFalse(new Value.LocalTime(-1n).isValid)
    assert.isFalse(new Value.LocalTime(86_400_000_000_000n).isValid)
    assert.strictEqual(JSON.stringify(new Value.LocalTime(0n)), '"00:00:00.000000000"')
    assert.strictEqual(inspect(new Value.LocalTime(0n)), "LocalTime(00:00:00.000000000)")
  })

  it("refuses everything else", () => {
    for (
      const value of [
        "",
        "24:00",
        "23:60",
        "23:59:60",
        "1:00",
        "12",
        "12:34:",
        "12:34:56.",
        "12:34:56.0123456789",
        "-1:00",
        "12:34.5"
      ]
    ) {
      assert.isUndefined(Value.LocalTime.parse(value), value)
    }
  })

  it("equality", () => {
    assert.isTrue(areDistinct([() => new Value.LocalTime(0n), () => new Value.LocalTime(1n)]))
  })
})

describe("CqlDuration", () => {
  it("prints what CQL reads", () => {
    for (
      const [duration, value] of [
        [new Value.CqlDuration(0, 0, 0n), "0ns"],
        [new Value.CqlDuration(1, 2, 3n), "1mo2d3ns"],
        [new Value.CqlDuration(-1, -2, -3n), "-1mo2d3ns"],
        [new Value.CqlDuration(0, -2, 0n), "-2d"],
        [new Value.CqlDuration(14, 0, 0n), "14mo"],
        [new Value.CqlDuration(-(2 ** 31), 0, -(2n ** 63n)), "-2147483648mo9223372036854775808ns"]
      ] as const
    ) {
      assert.strictEqual(String(duration), value)
      assert.strictEqual(JSON.stringify(duration), JSON.stringify(value))
      assert.strictEqual(inspect(duration), `CqlDuration(${value})`)
      assert.isTrue(duration.isValid)
    }
  })

  it("reads all forms of CQL", () => {
    const hour = 3_600_000_000_000n
    for (
      const [text, months, days, nanos] of [
        ["1y2mo3w4d5h6m7s8ms9us10ns", 14, 25, 5n * hour + 367_008_009_010n],
        ["1Y2MO3W4D5H6M7S8MS9US10NS", 14, 25, 5n * hour + 367_008_009_010n],
        ["12h30m", 0, 0, 12n * hour + 1_800_000_000_000n],
        ["3µs", 0, 0, 3000n],
        ["1m", 0, 0, 60_000_000_000n],
        ["1mo", 1, 0, 0n],
        ["0ns", 0, 0, 0n],
        ["-1mo2d3ns", -1, -2, -3n],
        ["2147483647mo2147483647d9223372036854775807ns", 2 ** 31 - 1, 2 ** 31 - 1, 2n ** 63n - 1n],
        ["-2147483648mo9223372036854775808ns", -(2 ** 31), 0, -(2n ** 63n)],
        ["P1Y2M3DT4H5M6S", 14, 3, 4n * hour + 306_000_000_000n],
        ["PT1M", 0, 0, 60_000_000_000n],
        ["P1M", 1, 0, 0n],
        ["P3W", 0, 21, 0n],
        ["-P2D", 0, -2, 0n],
        ["P0001-02-03T04:05:06", 14, 3, 4n * hour + 306_000_000_000n],
        ["-P0000-00-00T00:00:01", 0, 0, -1_000_000_000n]
      ] as const
    ) {
      assert.deepStrictEqual(Value.CqlDuration.parse(text), new Value.CqlDuration(months, days, nanos), text)
    }
    for (const duration of [new Value.CqlDuration(-3, -4, -5n), new Value.CqlDuration(0, 0, 0n)]) {
      assert.deepStrictEqual(Value.CqlDuration.parse(String(duration)), duration)
    }
  })

  it("refuses everything else", () => {
    for (
      const text of [
        "",
        "-",
        "1",
        "d",
        "1x",
        "1d ",
        " 1d",
        "--1d",
        "+1d",
        "1.5d",
        // Out of order, twice.
        "1d1y",
        "1s1m",
        "1d1d",
        "1us1µs",
        "2147483648mo",
        "178956971y",
        "9223372036854775808ns",
        "99999999999999999999d",
        "P",
        "PT",
        "P1DT",
        "P1W1D",
        "P1.5D",
        "p1d",
        "P1D1Y",
        "P001-02-03T04:05:06",
        "P0001-02-03",
        "P0001-02-03T04:05:06Z",
        "1h".repeat(100_000)
      ]
    ) {
      assert.isUndefined(Value.CqlDuration.parse(text), text.slice(0, 60))
    }
  })

  it("equality", () => {
    assert.isTrue(areDistinct([
      () => new Value.CqlDuration(0, 0, 0n),
      () => new Value.CqlDuration(1, 0, 0n),
      () => new Value.CqlDuration(0, 1, 0n),
      () => new Value.CqlDuration(0, 0, 1n),
      () => new Value.CqlDuration(0, 0, -1n),
      // 30 days are no month.
      () => new Value.CqlDuration(0, 30, 0n)
    ]))
  })
})

describe("Inet", () => {
  const cases: ReadonlyArray<[given: string, canonical: string, hex: string]> = [
    ["127.0.0.1", "127.0.0.1", "7f000001"],
    ["255.255.255.255", "255.255.255.255", "ffffffff"],
    ["::", "::", "00".repeat(16)],
    ["::1", "::1", `${"00".repeat(15)}01`],
    ["1::", "1::", `0001${"00".repeat(14)}`],
    ["2001:DB8:0:0:0:0:0:1", "2001:db8::1", "20010db8000000000000000000000001"],
    // The longest run, the first of equals, and never a single group (RFC 5952 section 4.2).
    ["2001:db8:0:1:1:1:1:1", "2001:db8:0:1:1:1:1:1", "20010db8000000010001000100010001"],
    ["2001:0:0:1:0:0:0:1", "2001:0:0:1::1", "20010000000000010000000000000001"],
    ["2001:db8:0:0:1:0:0:1", "2001:db8::1:0:0:1", "20010db8000000000001000000000001"],
    ["1:2:3:4:5:6:7::", "1:2:3:4:5:6:7:0", "00010002000300040005000600070000"],
    ["::2:3:4:5:6:7:8", "0:2:3:4:5:6:7:8", "00000002000300040005000600070008"],
    ["::ffff:1.2.3.4", "::ffff:1.2.3.4", "00000000000000000000ffff01020304"],
    ["::FFFF:102:304", "::ffff:1.2.3.4", "00000000000000000000ffff01020304"],
    ["::1.2.3.4", "::102:304", "00000000000000000000000001020304"],
    ["64:ff9b::1.2.3.4", "64:ff9b::102:304", "0064ff9b000000000000000001020304"]
  ]
  it("canonical forms", () => {
    for (const [given, canonical, hex] of cases) {
      const inet = Value.Inet.parse(given)!
      assert.strictEqual(String(inet), canonical, given)
      assert.strictEqual(Buffer.from(inet.toBytes()).toString("hex"), hex, given)
      assert.strictEqual(String(Value.Inet.fromBytes(Buffer.from(hex, "hex"))), canonical)
      assert.strictEqual(JSON.stringify(inet), `"${canonical}"`)
      assert.strictEqual(inspect(inet), `Inet(${canonical})`)
    }
    const random = new Random(5)
    for (let i = 0; i < 500; i++) {
      const bytes = random.bytes(16).map((byte) => random.below(3) === 0 ? byte : 0)
      assert.deepStrictEqual(Value.Inet.parse(String(Value.Inet.fromBytes(bytes)))!.toBytes(), bytes)
    }
  })

  it("refuses everything else", () => {
    for (
      const value of [
        "",
        "1.2.3",
        "1.2.3.256",
        "01.2.3.4",
        "1.2.3.4.5",
        ":::",
        "1::2::3",
        "1:2:3:4:5:6:7",
        "1::2:3:4:5:6:7:8",
        "g::",
        "fe80::1%eth0",
        "::ffff:1.2.3",
        "localhost",
        " ::1"
      ]
    ) {
      assert.isUndefined(Value.Inet.parse(value), value)
    }
    for (const size of [0, 3, 5, 15, 17]) {
      assert.throws(() => Value.Inet.fromBytes(new Uint8Array(size)), ProtocolError.DecodeError)
    }
    assert.throws(() => Value.Inet.fromBytes(new Uint8Array(8), 5, 4), ProtocolError.DecodeError)
  })

  it("equality", () => {
    assert.isTrue(areDistinct([
      () => Value.Inet.parse("::1")!,
      () => Value.Inet.parse("1.2.3.4")!,
      () => Value.Inet.parse("::ffff:1.2.3.4")!
    ]))
  })
})

describe("markers", () => {
  it("say what they are", () => {
    assert.strictEqual(String(Value.Unset), "Unset")
    assert.strictEqual(inspect(Value.Empty), "Empty")
    assert.notStrictEqual<unknown>(Value.Unset, Value.Empty)
  })
})

describe("Consistency", () => {
  it("codes there and back", () => {
    for (let code = 0; code <= 0x0a; code++) {
      const level = Consistency.fromCode(code)
      assert.strictEqual(Consistency.toCode(level), code)
      assert.isTrue(Consistency.isConsistency(level))
      assert.strictEqual(Consistency.isSerial(level), level.endsWith("SERIAL"))
    }
    for (const code of [0x0b, 0xffff]) assert.throws(() => Consistency.fromCode(code), ProtocolError.DecodeError)
    for (const name of ["", "quorum", "toString", "__proto__"]) assert.isFalse(Consistency.isConsistency(name))
  })
})
