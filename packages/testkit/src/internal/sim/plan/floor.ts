/** `floor` of Cassandra: the beginning of the stretch of time that a time is in. */
import { decode } from "@effect-scylla/protocol/Codec"
import * as CqlType from "@effect-scylla/protocol/CqlType"
import type { CqlDuration } from "@effect-scylla/protocol/Value"
import { invalid, unsupported } from "../failure.ts"
import { int64, readInt64 } from "../storage/values.ts"
import { define, type Definition } from "./definition.ts"
import { GREGORIAN } from "./timeuuid.ts"

type Type = CqlType.CqlType

const DAY = 86_400_000

const duration = CqlType.scalar("duration")
const timestamp = CqlType.scalar("timestamp")

/** Milliseconds of the beginning of the stretch; stretches follow each other from `start` on. */
const floorMillis = (at: number, { days, months, nanos }: CqlDuration, start: number): number => {
  if (months < 0 || days < 0 || nanos < 0n) throw invalid("Negative durations are not supported by the floor function")
  if (months === 0) {
    const length = days * DAY + Number(nanos / 1_000_000n)
    if (length <= 0) throw unsupported("floor of a duration of less than a millisecond")
    return start + Math.floor((at - start) / length) * length
  }
  if (days !== 0 || nanos !== 0n) throw unsupported("floor of months and days together")
  const from = new Date(start)
  const monthOf = (date: Date): number => date.getUTCFullYear() * 12 + date.getUTCMonth()
  const begin = (count: number): number => {
    const date = new Date(start)
    date.setUTCMonth(from.getUTCMonth() + count * months)
    return date.getTime()
  }
  let count = Math.floor((monthOf(new Date(at)) - monthOf(from)) / months)
  while (begin(count) > at) count--
  return begin(count)
}

const millisOf = (type: Type, bytes: Uint8Array): number => {
  const name = type._tag === "Scalar" ? type.name : ""
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length)
  if (name === "date") return (view.getUint32(0) - 2 ** 31) * DAY
  if (name !== "timeuuid") return Number(readInt64(bytes))
  const ticks = (BigInt(view.getUint16(6) & 0xfff) << 48n) | (BigInt(view.getUint16(4)) << 32n) |
    BigInt(view.getUint32(0))
  return Number((ticks - GREGORIAN) / 10_000n)
}

const dateOf = (millis: number): Uint8Array => {
  const out = new Uint8Array(4)
  new DataView(out.buffer).setUint32(0, Math.floor(millis / DAY) + 2 ** 31)
  return out
}

const ofTime: Definition = define("floor", [CqlType.scalar("time"), duration], CqlType.scalar("time"), ([at, by]) => {
  const { days, months, nanos } = decode(duration, by!) as CqlDuration
  if (days !== 0 || months !== 0) {
    throw invalid("For floor(time, duration), the duration must be in the range of a day")
  }
  if (nanos <= 0n) throw unsupported("floor of a duration of nothing")
  const value = readInt64(at!)
  return int64(value - value % nanos)
})

const ofDate = (type: Type, returns: Type, start: boolean): Definition =>
  define("floor", start ? [type, duration, returns] : [type, duration], returns, ([at, by, from]) => {
    const begin = from === undefined ? 0 : millisOf(returns, from)
    const millis = floorMillis(millisOf(type, at!), decode(duration, by!) as CqlDuration, begin)
    return returns._tag === "Scalar" && returns.name === "date" ? dateOf(millis) : int64(BigInt(millis))
  })

const date = CqlType.scalar("date")
const timeuuid = CqlType.scalar("timeuuid")

export const FLOORS: ReadonlyArray<Definition> = [
  ofDate(timestamp, timestamp, false),
  ofDate(timestamp, timestamp, true),
  ofDate(timeuuid, timestamp, false),
  ofDate(timeuuid, timestamp, true),
  ofDate(date, date, false),
  ofDate(date, date, true),
  ofTime
]
