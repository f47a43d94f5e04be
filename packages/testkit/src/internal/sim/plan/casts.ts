/** CAST: numbers to numbers, times to times, and whatever has a text to text. */
import { decode, encode } from "@effect-scylla/protocol/Codec"
import * as CqlType from "@effect-scylla/protocol/CqlType"
import * as BigDecimal from "effect/BigDecimal"
import { Buffer } from "node:buffer"
import { invalid, unsupported } from "../failure.ts"
import { resolveFunction } from "./functions.ts"
import { toJson } from "./json.ts"
import { isIntegral, readIntegral, writeIntegral } from "./numbers.ts"
import type { Variables } from "./variables.ts"

type Cast = (bytes: Uint8Array) => Uint8Array | null

const isNumeric = (name: string): boolean => isIntegral(name) || ["float", "double", "decimal"].includes(name)

const numeric = (from: CqlType.CqlType, source: string, to: CqlType.CqlType, target: string): Cast => (bytes) => {
  if (bytes.length === 0) return null
  if (isIntegral(source)) {
    const value = readIntegral(from, bytes)
    if (isIntegral(target)) return writeIntegral(target, value)
    return target === "decimal" ? encode(to, BigDecimal.fromBigInt(value)) : encode(to, Number(value))
  }
  const value = decode(from, bytes) as number | BigDecimal.BigDecimal
  if (typeof value === "number") {
    if (target === "float" || target === "double") return encode(to, value)
    if (isIntegral(target)) {
      if (!Number.isFinite(value) || Math.abs(value) >= 2 ** 31) throw unsupported(`a cast of ${value} to ${target}`)
      return writeIntegral(target, BigInt(Math.trunc(value)))
    }
    throw unsupported(`a cast from ${source} to ${target}`)
  }
  if (isIntegral(target)) {
    const whole = value.scale > 0 ? value.value / 10n ** BigInt(value.scale) : value.value * 10n ** BigInt(-value.scale)
    return writeIntegral(target, whole)
  }
  return encode(to, Number(BigDecimal.format(value)))
}

export const castOf = (from: CqlType.CqlType, to: CqlType.CqlType, text: string, variables: Variables): Cast => {
  if (CqlType.isSame(from, to)) return (bytes) => bytes
  if (from._tag !== "Scalar" || to._tag !== "Scalar") {
    throw invalid(`${CqlType.format(from)} cannot be cast to ${CqlType.format(to)}`)
  }
  if (isNumeric(from.name) && isNumeric(to.name)) return numeric(from, from.name, to, to.name)
  if (to.name === "text" || to.name === "ascii") {
    if (to.name === "ascii" && from.name === "text") throw unsupported("a cast from text to ascii")
    if (["blob", "duration", "timestamp", "counter"].includes(from.name) && from.name !== "counter") {
      throw unsupported(`a cast from ${from.name} to text`)
    }
    return (bytes) => {
      const json = toJson(from, bytes, variables.product)
      return Buffer.from(json.startsWith('"') ? JSON.parse(json) as string : json)
    }
  }
  const name = to.name === "timestamp" ? "totimestamp" : to.name === "date" ? "todate" : undefined
  if (name !== undefined && ["timeuuid", "timestamp", "date"].includes(from.name)) {
    let given: Uint8Array | null = null
    const argument = {
      text,
      type: from,
      fits: (type: CqlType.CqlType) => CqlType.isSame(type, from) ? "exact" as const : "no" as const,
      compile: () => () => given
    }
    const found = resolveFunction({ keyspace: undefined, name }, [argument], variables)
    return (bytes) => {
      given = bytes
      return found.value([]) as Uint8Array | null
    }
  }
  throw invalid(`${CqlType.format(from)} cannot be cast to ${CqlType.format(to)}`)
}
