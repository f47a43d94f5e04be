/** The scalar functions of CQL: a table of them, and how a call finds the one that it means. */
import * as CqlType from "@effect-scylla/protocol/CqlType"
import { Unset } from "@effect-scylla/protocol/Value"
import * as Murmur3 from "@effect-scylla/sharding/Murmur3"
import * as RoutingKey from "@effect-scylla/sharding/RoutingKey"
import { toBigInt, TokenWords } from "@effect-scylla/sharding/Token"
import { Buffer } from "node:buffer"
import { invalid, unsupported } from "../failure.ts"
import type { Product } from "../parse/product.ts"
import { checkOf, int64, readInt64 } from "../storage/values.ts"
import { define, type Definition } from "./definition.ts"
import { FLOORS } from "./floor.ts"
import { toJson } from "./json.ts"
import { GENERIC, MATH, OF_SEVERAL } from "./mathFunctions.ts"
import { GREGORIAN, timeuuidOf } from "./timeuuid.ts"
import type { Compiled, Fit, Variables } from "./variables.ts"

type Type = CqlType.CqlType

const scalar = CqlType.scalar

/** An argument of a call. */
export interface Argument {
  /** As messages show it. */
  readonly text: string
  /** Unknown for a literal. */
  readonly type: Type | undefined
  readonly fits: (type: Type) => Fit
  readonly compile: (type: Type, name: string) => Compiled
}

/** What a call means. */
export interface Resolved {
  readonly name: string
  readonly type: Type
  readonly value: Compiled
}

export interface Call {
  readonly keyspace: string | undefined
  readonly name: string
}

const millisOf = (uuid: Uint8Array): bigint => {
  const view = new DataView(uuid.buffer, uuid.byteOffset)
  const ticks = (BigInt(view.getUint16(6) & 0xfff) << 48n) | (BigInt(view.getUint16(4)) << 32n) |
    BigInt(view.getUint32(0))
  return (ticks - GREGORIAN) / 10_000n
}

const MILLIS_OF_DAY = 86_400_000n

const floorDiv = (a: bigint, b: bigint): bigint => (a - (((a % b) + b) % b)) / b

const dateOfMillis = (millis: bigint): Uint8Array => {
  const out = new Uint8Array(4)
  new DataView(out.buffer).setUint32(0, Number(floorDiv(millis, MILLIS_OF_DAY) + 2n ** 31n))
  return out
}

const millisOfDate = (date: Uint8Array): bigint =>
  (BigInt(new DataView(date.buffer, date.byteOffset).getUint32(0)) - 2n ** 31n) * MILLIS_OF_DAY

const nowUuid = (_: unknown, variables: Variables): Uint8Array =>
  timeuuidOf(
    BigInt(Math.floor(variables.now())) * 10_000n + GREGORIAN + BigInt(variables.unique() % 10_000),
    [0x80, 0x01, 0x02, 0x00, 0x5e, 0x10, 0x00, 0x01]
  )

/** A version 4 UUID, another one each time, the same ones in each run. */
const randomUuid = (_: unknown, variables: Variables): Uint8Array => {
  const out = new Uint8Array(16)
  const words = new TokenWords()
  const seed = int64(BigInt(variables.unique()))
  for (let i = 0; i < 2; i++) {
    Murmur3.hashInto(Uint8Array.of(i, ...seed), 0, 9, words)
    new DataView(out.buffer).setInt32(i * 8, words.hi)
    new DataView(out.buffer).setInt32(i * 8 + 4, words.lo)
  }
  out[6] = (out[6]! & 0x0f) | 0x40
  out[8] = (out[8]! & 0x3f) | 0x80
  return out
}

const timestamp = scalar("timestamp")
const timeuuid = scalar("timeuuid")
const date = scalar("date")
const time = scalar("time")
const bigint = scalar("bigint")
const blob = scalar("blob")

const minUuid = ([at]: ReadonlyArray<Uint8Array>): Uint8Array =>
  timeuuidOf(readInt64(at!) * 10_000n + GREGORIAN, [0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80])
const maxUuid = ([at]: ReadonlyArray<Uint8Array>): Uint8Array =>
  timeuuidOf(readInt64(at!) * 10_000n + GREGORIAN + 9999n, [0x7f, 0x7f, 0x7f, 0x7f, 0x7f, 0x7f, 0x7f, 0x7f])

/** The names that only Cassandra has, which are written with underscores, and what they are called otherwise. */
const times = (product: Product): ReadonlyArray<Definition> => {
  const toTimestamp = [
    define("totimestamp", [date], timestamp, ([at]) => int64(millisOfDate(at!))),
    define("totimestamp", [timeuuid], timestamp, ([at]) => int64(millisOf(at!)))
  ]
  return [
    define("now", [], timeuuid, nowUuid),
    define("uuid", [], scalar("uuid"), randomUuid),
    define("currenttimeuuid", [], timeuuid, nowUuid),
    define("currenttimestamp", [], timestamp, (_, { now }) => int64(BigInt(Math.floor(now())))),
    define("currentdate", [], date, (_, { now }) => dateOfMillis(BigInt(Math.floor(now())))),
    define("currenttime", [], time, (_, { now }) => int64((BigInt(Math.floor(now())) % MILLIS_OF_DAY) * 1_000_000n)),
    define("todate", [timestamp], date, ([at]) => dateOfMillis(readInt64(at!))),
    define("todate", [timeuuid], date, ([at]) => dateOfMillis(millisOf(at!))),
    ...(product === "scylla" ? toTimestamp : toTimestamp.toReversed()),
    define("tounixtimestamp", [timestamp], bigint, ([at]) => at!),
    define("tounixtimestamp", [timeuuid], bigint, ([at]) => int64(millisOf(at!))),
    define("tounixtimestamp", [date], bigint, ([at]) => int64(millisOfDate(at!))),
    define("mintimeuuid", [timestamp], timeuuid, minUuid),
    define("maxtimeuuid", [timestamp], timeuuid, maxUuid),
    ...(product === "scylla"
      ? [
        define("dateof", [timeuuid], timestamp, ([at]) => int64(millisOf(at!))),
        define("unixtimestampof", [timeuuid], bigint, ([at]) => int64(millisOf(at!)))
      ]
      : [])
  ]
}

const BLOBS: ReadonlyArray<CqlType.ScalarName | "varchar"> = [
  "ascii",
  "bigint",
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
  "varchar",
  "varint"
]

const blobs = (product: Product, separator = ""): ReadonlyArray<Definition> =>
  BLOBS.flatMap((name) => {
    const type = scalar(name === "varchar" ? "text" : name)
    const from = `blob${separator}as${separator}${name}`
    return [
      define(`${name}${separator}as${separator}blob`, [type], blob, ([value]) => value!),
      define(from, [blob], type, ([value]) => {
        try {
          return checkOf(type, name, product)(value!)
        } catch {
          throw invalid(
            `In call to function ${product === "scylla" ? "" : "system."}${from}, value 0x${
              Buffer.from(value!).toString("hex")
            } is not a valid binary representation for type ${name === "varchar" ? "text" : name}`
          )
        }
      })
    ]
  })

const UNDERSCORES: ReadonlyArray<readonly [plain: string, name: string]> = [
  ["currenttimeuuid", "current_timeuuid"],
  ["currenttimestamp", "current_timestamp"],
  ["currentdate", "current_date"],
  ["currenttime", "current_time"],
  ["todate", "to_date"],
  ["totimestamp", "to_timestamp"],
  ["tounixtimestamp", "to_unix_timestamp"],
  ["mintimeuuid", "min_timeuuid"],
  ["maxtimeuuid", "max_timeuuid"],
  ["counterasblob", "counter_as_blob"]
]

const tableOf = (product: Product): ReadonlyMap<string, ReadonlyArray<Definition>> => {
  const out = new Map<string, Array<Definition>>()
  for (
    const each of [
      ...times(product),
      ...blobs(product),
      ...(product === "cassandra" ? [...blobs(product, "_"), ...MATH, ...FLOORS] : [])
    ]
  ) {
    const known = out.get(each.name)
    if (known === undefined) out.set(each.name, [each])
    else known.push(each)
  }
  if (product === "cassandra") {
    out.set("counterasblob", [define("counterasblob", [scalar("counter")], blob, ([value]) => value!)])
    for (const [plain, name] of UNDERSCORES) {
      out.set(
        name,
        out.get(plain)!.map(({ args, returns, run }) => define(name, args, returns, run))
      )
    }
  }
  return out
}

const TABLES = { scylla: tableOf("scylla"), cassandra: tableOf("cassandra") }

/** Functions that there are and that are not simulated: what is in no table is unknown. */
const NOT_SIMULATED = new Set([
  "from_json"
])

const scratch = new TokenWords()

const tokenOf = (variables: Variables): Definition => {
  const key = variables.table?.partitionKey ?? []
  return define("token", key.map((column) => column.type.cql), bigint, (args) => {
    const bytes = RoutingKey.compose(args)
    // Of no bytes it is the smallest, which stands for both ends of the ring.
    if (bytes.length === 0) return int64(-(2n ** 63n))
    Murmur3.hashInto(bytes, 0, bytes.length, scratch)
    return int64(toBigInt(scratch.hi, scratch.lo))
  })
}

const signature = ({ args, name, returns }: Definition): string =>
  `system.${name} : (${args.map(CqlType.format).join(", ")}) -> ${CqlType.format(returns)}`

/** Functions as messages list them. */
const listed = (all: ReadonlyArray<Definition>): string => all.map(signature).join(", ")

/** Cassandra has other words for one among values than for one of what is selected. */
export const unknownFunction = ({ keyspace, name }: Call, variables: Variables, isTerm = false): Error => {
  const full = keyspace === undefined ? name : `${keyspace}.${name}`
  return invalid(
    variables.say(
      `Unknown function ${full} called`,
      isTerm ? `Unknown function ${full} called` : `Unknown function '${full}'`
    )
  )
}

/** How alike two vectors are, which have to be of the same length. */
const similarityOf = (name: string, args: ReadonlyArray<Argument>): Definition => {
  if (args.length !== 2) {
    throw invalid(
      `Invalid number of arguments for function system.${name}(vector<float, n>, vector<float, n>)`
    )
  }
  for (const { text, type } of args) {
    const isFloats = type?._tag === "Vector" && type.element._tag === "Scalar" && type.element.name === "float"
    if (type !== undefined && !isFloats) {
      throw invalid(
        `Function system.${name} requires a float vector argument, but found argument ${text} of type ${
          CqlType.format(type)
        }`
      )
    }
  }
  const type = args[0]!.type ?? args[1]!.type
  if (type === undefined) throw unsupported(`the function ${name}() of these arguments`)
  if (args.some((arg) => arg.fits(type) === "no")) {
    throw invalid("All arguments must have the same vector dimensions")
  }
  return OF_SEVERAL[name]!(type, 2)!
}

const candidatesOf = (
  call: Call,
  args: ReadonlyArray<Argument>,
  variables: Variables,
  isTerm: boolean
): ReadonlyArray<Definition> => {
  const { keyspace, name } = call
  if (keyspace !== undefined && keyspace !== "system") throw unknownFunction(call, variables, isTerm)
  if (name === "token") return [tokenOf(variables)]
  const isCassandra = variables.product === "cassandra"
  if (name === "tojson" || (isCassandra && name === "to_json")) {
    if (args.length !== 1) {
      throw invalid(
        variables.say(
          "toJson() accepts 1 argument only",
          `Invalid number of arguments for function system.${name}(any)`
        )
      )
    }
    const type = args[0]!.type
    if (type === undefined) {
      throw invalid(
        `Cannot infer type of argument ${
          args[0]!.text
        } in call to function system.${name}(any): use type casts to disambiguate`
      )
    }
    // Which of both names is shown is that which a real server was first asked by.
    return [define(name, [type], scalar("text"), ([value]) => Buffer.from(toJson(type, value!, variables.product)))]
  }
  const found = TABLES[variables.product].get(name)
  if (found !== undefined) return found
  if (isCassandra && !isTerm && (name === "from_json" || name === "fromjson")) {
    throw invalid("from_json() cannot be used in the selection clause of a SELECT statement")
  }
  if (name === "fromjson" || (isCassandra && NOT_SIMULATED.has(name))) throw unsupported(`the function ${name}()`)
  if (isCassandra && name.startsWith("similarity_") && name in OF_SEVERAL) return [similarityOf(name, args)]
  const first = args[0]?.type
  const generic = !isCassandra || first === undefined
    ? undefined
    : args.length === 1
    ? GENERIC[name]?.(first, variables)
    : OF_SEVERAL[name]?.(first, args.length)
  if (generic !== undefined) return [generic]
  const isMask = name === "mask_inner" || name === "mask_outer"
  if (isCassandra && isMask && first !== undefined && args.length > 1) {
    throw invalid(
      `Function system.${name} requires an argument of type [text|varchar|ascii], but found argument ${
        args[0]!.text
      } of type ${CqlType.format(first)}`
    )
  }
  if (isCassandra && (name in GENERIC || name in OF_SEVERAL)) {
    throw unsupported(`the function ${name}() of these arguments`)
  }
  throw unknownFunction(call, variables, isTerm)
}

/** Finds the function of a call and compiles it; throws INVALID as the product does. */
export const resolveFunction = (
  call: Call,
  args: ReadonlyArray<Argument>,
  variables: Variables,
  wanted?: (returned: Type) => boolean
): Resolved => {
  const candidates = candidatesOf(call, args, variables, wanted !== undefined)
  const wantedOnes = wanted === undefined ? candidates : candidates.filter(({ returns }) => wanted(returns))
  const chosen = choose(call, wantedOnes.length > 0 ? wantedOnes : candidates, args)
  const name = `system.${chosen.name}`
  const compiled = args.map((arg, i) => arg.compile(chosen.args[i]!, `arg${i}(${name})`))
  return {
    name,
    type: chosen.returns,
    value: (values, view) => {
      const given: Array<Uint8Array> = []
      for (const arg of compiled) {
        const bytes = arg(values, view)
        if (bytes === Unset) throw invalid(`Invalid unset value for argument in call to function ${chosen.name}`)
        if (bytes === null && chosen.runWithNulls === undefined) {
          if (chosen.name === "tojson" || chosen.name === "to_json") return Buffer.from("null")
          return null
        }
        given.push(bytes as Uint8Array)
      }
      return chosen.run(given, variables)
    }
  }
}

const choose = (call: Call, candidates: ReadonlyArray<Definition>, args: ReadonlyArray<Argument>): Definition => {
  if (candidates.length === 1) {
    const only = candidates[0]!
    if (only.args.length !== args.length) {
      throw invalid(
        `Invalid number of arguments in call to function system.${only.name}: ${only.args.length} required but ${args.length} provided`
      )
    }
    args.forEach((arg, i) => {
      if (arg.fits(only.args[i]!) === "no") {
        throw invalid(
          `Type error: ${arg.text} cannot be passed as argument ${i} of function system.${only.name} of type ${
            CqlType.format(only.args[i]!)
          }`
        )
      }
    })
    return only
  }
  const weak: Array<Definition> = []
  for (const each of candidates) {
    if (each.args.length !== args.length) continue
    const all = args.map((arg, i) => arg.fits(each.args[i]!))
    if (all.every((fit) => fit === "exact")) return each
    if (!all.includes("no")) weak.push(each)
  }
  if (weak.length === 1) return weak[0]!
  if (weak.length === 0) {
    throw invalid(
      `Invalid call to function ${call.name}, none of its type signatures match (known type signatures: ${
        listed(candidates)
      })`
    )
  }
  throw invalid(
    `Ambiguous call to function ${call.name} (can be matched by following signatures: ${
      // A counter is no less fitting, but not told of.
      listed(weak.filter(({ returns }) => CqlType.format(returns) !== "counter"))}): use type casts to disambiguate`
  )
}
