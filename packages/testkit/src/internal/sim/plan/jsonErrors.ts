/** What Cassandra says of values of JSON that are none of a type. */
import type * as CqlType from "@effect-scylla/protocol/CqlType"
import * as ServerError from "@effect-scylla/protocol/ServerError"
import { invalid, unsupported } from "../failure.ts"
import { brokenJson, noObject } from "./brokenJson.ts"
import { isNumber, type Json } from "./json.ts"
import { wrongText } from "./literals.ts"

/** The class of a value as Java has it. */
const classOf = (json: Json): string => {
  if (typeof json === "string") return "String"
  if (typeof json === "boolean") return "Boolean"
  if (Array.isArray(json)) return "ArrayList"
  if (json instanceof Map) return "LinkedHashMap"
  const { number } = json as { readonly number: string }
  if (!/^-?\d+$/.test(number)) return "Double"
  const value = BigInt(number)
  return BigInt.asIntN(32, value) === value ? "Integer" : BigInt.asIntN(64, value) === value ? "Long" : "BigInteger"
}

const shown = (json: Json): string => {
  if (json === null || typeof json !== "object") return String(json)
  if (isNumber(json)) return json.number
  if (json instanceof Map) return `{${[...json].map(([key, value]) => `${key}=${shown(value)}`).join(", ")}}`
  return `[${(json as ReadonlyArray<Json>).map(shown).join(", ")}]`
}

const EXPECTED: Partial<Record<CqlType.ScalarName, string>> = {
  ascii: "an ascii string",
  text: "a UTF-8 string",
  bigint: "a bigint value",
  int: "an int value",
  boolean: "a boolean value",
  date: "a string representation of a date value",
  double: "a double value",
  float: "a float value",
  inet: "a string representation of an inet value",
  time: "a string representation of a time value",
  timestamp: "a long or a datestring representation of a timestamp value",
  timeuuid: "a string representation of a timeuuid",
  uuid: "a string representation of a uuid",
  duration: "a string representation of a duration"
}

const scalarReason = (name: CqlType.ScalarName, json: Json): string | undefined => {
  const text = typeof json === "string" ? json : isNumber(json) ? json.number : undefined
  const expected = `Expected ${EXPECTED[name]}, but got a ${classOf(json)}: ${shown(json)}`
  switch (name) {
    case "decimal":
    case "varint":
      return `Value '${shown(json)}' is not a valid representation of a ${name} value`
    case "smallint":
    case "tinyint":
      return text === undefined
        ? undefined
        : `Unable to make ${name === "smallint" ? "short" : "byte"} from '${text}'`
    case "blob":
      if (typeof json !== "string") {
        const type = classOf(json)
        const java = `java.${type === "ArrayList" || type === "LinkedHashMap" ? "util" : "lang"}.${type}`
        return `Value '${shown(json)}' is not a valid blob representation: class ${java} cannot be cast to class ` +
          `java.lang.String (${java} and java.lang.String are in module java.base of loader 'bootstrap')`
      }
      return `Value '${json}' is not a valid blob representation: ${
        json.startsWith("0x")
          ? `cannot parse '${json.slice(2)}' as hex bytes`
          : `String representation of blob is missing 0x prefix: ${json}`
      }`
    case "ascii":
      return typeof json === "string"
        ? "Invalid ASCII character in string literal: java.nio.charset.UnmappableCharacterException: Input length = 1"
        : expected
    default:
  }
  if (EXPECTED[name] === undefined) return undefined
  if (typeof json !== "string") return expected
  switch (name) {
    case "bigint":
      return `Unable to make long from '${json}'`
    case "int":
    case "double":
    case "float":
    case "boolean":
      return `Unable to make ${name} from '${json}'`
    case "inet":
      return `Unable to make inet address from '${json}'`
    case "uuid":
      return `Unable to make UUID from '${json}'`
    case "timeuuid":
      return /^[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}$/i.test(json)
        ? "TimeUUID supports only version 1 UUIDs"
        : `Unable to make UUID from '${json}'`
    default:
      return wrongText(name, { _tag: "Constant", kind: "STRING", text: json }, "cassandra")
  }
}

const reasonOf = (type: CqlType.CqlType, json: Json): string | undefined => {
  const got = (expected: string): string => `Expected ${expected}, but got a ${classOf(json)}: ${shown(json)}`
  switch (type._tag) {
    case "Scalar":
      return scalarReason(type.name, json)
    case "List":
    case "Set": {
      const kind = type._tag.toLowerCase()
      if (!Array.isArray(json)) return got(type._tag === "List" ? "a list" : "a list (representing a set)")
      return json.includes(null) ? `Invalid null element in ${kind}` : undefined
    }
    case "Map":
      if (!(json instanceof Map)) return got("a map")
      return [...json.values()].includes(null) ? "Invalid null value in map" : undefined
    case "Tuple": {
      if (!Array.isArray(json)) return got("a list representation of a tuple")
      const { length } = type.elements
      if (json.length < length) return `Tuple is missing items (expected ${length}): ${shown(json as Json)}`
      return json.length > length
        ? `Tuple contains extra items (expected ${length}): ${shown(json as Json)}`
        : undefined
    }
    case "Udt": {
      if (!(json instanceof Map)) return got("a map")
      const unknown = [...json.keys()].find((key) => !type.fields.some(({ name }) => name === key))
      return unknown === undefined ? undefined : `Unknown field '${unknown}' in value of user defined type ${type.name}`
    }
    case "Vector":
      if (!Array.isArray(json)) return got("a list")
      return json.includes(null)
        ? "Invalid null element in list"
        : `List had incorrect size: expected ${type.dimension} but given ${json.length}; ${shown(json as Json)}`
    default:
      return undefined
  }
}

/** The error for a value of the column called `name`; what no answer is known of is refused. */
export const wrongJson = (type: CqlType.CqlType, json: Json, name: string): Error => {
  const reason = reasonOf(type, json)
  if (reason === undefined) return unsupported(`what a server says of this JSON value of ${name}`)
  const isBare = type._tag === "Scalar" && type.name === "duration" && typeof json === "string"
  return invalid(isBare ? reason : `Error decoding JSON value for ${name}: ${reason}`)
}

/** The same for a value of `from_json()`. */
export const wrongOfFunction = (type: CqlType.CqlType, json: Json, name: string): Error => {
  const reason = reasonOf(type, json)
  if (reason === undefined) return unsupported(`what a server says of this JSON value of ${name}`)
  return failedFunction(`org.apache.cassandra.serializers.MarshalException: ${reason}`)
}

const failedFunction = (message: string): Error =>
  new ServerError.FunctionFailure({
    code: 0x1400,
    message,
    keyspace: "system",
    function: "from_json",
    argTypes: ["text"]
  })

/** What is said of a row that is no object. */
export const notAnObject = (text: string): Error => {
  if (text.trim() === "null") return invalid("Got null for INSERT JSON values")
  const said = brokenJson(text) ?? noObject(text)
  return said === undefined
    ? unsupported("what a server says of text that is not a JSON object")
    : invalid(`Could not decode JSON string as a map: ${said}. (String was: ${text})`)
}

/** What is said of a value of `from_json()` that is no JSON. */
export const notJson = (text: string): Error => {
  const said = brokenJson(text)
  if (said === undefined) return unsupported("what a server says of text that is no JSON")
  return failedFunction(
    `execution of 'system.from_json[text]' failed: Could not decode JSON string '${text}': ${said}`
  )
}

/** What is said of a text with a word that JSON does not have; `undefined` for what else is wrong with it. */
export const undecodable = (text: string): Error | undefined => {
  const found = /^(?:[^"]|"(?:[^"\\]|\\[^])*")*?[:,[]\s*(NaN|-?Infinity)/.exec(text)
  if (found === null) return undefined
  const at = found[0].length
  const line = text.slice(0, at).split("\n")
  return invalid(
    `Could not decode JSON string as a map: com.fasterxml.jackson.core.JsonParseException: Non-standard token '${
      found[1]
    }': enable JsonParser.Feature.ALLOW_NON_NUMERIC_NUMBERS to allow\n at [Source: (String)"${text}"; line: ${line.length}, column: ${
      line[line.length - 1]!.length + 1
    }]. (String was: ${text})`
  )
}
