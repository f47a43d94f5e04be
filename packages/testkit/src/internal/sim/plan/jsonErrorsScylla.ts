/** What ScyllaDB says of values of JSON that are none of a type: errors of its own inside, not of the request. */
import type * as CqlType from "@effect-scylla/protocol/CqlType"
import { Buffer } from "node:buffer"
import { internal, unsupported } from "../failure.ts"
import { isNumber, type Json } from "./json.ts"
import { wrongText } from "./literals.ts"

/** A value as it is printed: JSON without spaces. */
const printed = (json: Json): string => {
  if (json === null || typeof json !== "object") return JSON.stringify(json)
  if (isNumber(json)) return json.number
  if (json instanceof Map) {
    return `{${[...json].map(([key, value]) => `${JSON.stringify(key)}:${printed(value)}`).join(",")}}`
  }
  return `[${(json as ReadonlyArray<Json>).map(printed).join(",")}]`
}

/** Types whose values are texts in JSON, by their names in messages. */
const OF_TEXT: Partial<Record<CqlType.ScalarName, string>> = {
  blob: "bytes_type",
  date: "simple_date_type",
  inet: "inet_addr_type",
  time: "time_type",
  timeuuid: "timeuuid_type",
  uuid: "uuid_type",
  duration: "duration_type"
}

const isVersion4 = (text: string): RegExpExecArray | null =>
  /^[0-9a-f]{8}-[0-9a-f]{4}-([0-9a-f])[0-9a-f]{3}-[0-9a-f]{4}-[0-9a-f]{12}$/i.exec(text)

const ofText = (name: CqlType.ScalarName, text: string): string => {
  switch (name) {
    case "blob":
      return "Blob JSON strings must start with 0x"
    case "inet":
      return `Failed to parse inet_addr from '${text}'`
    case "timeuuid": {
      const uuid = isVersion4(text)
      return uuid === null ? `Cannot parse uuid from '${text}'` : `Unsupported UUID version (${parseInt(uuid[1]!, 16)})`
    }
    case "uuid":
      return `Cannot parse uuid from '${text}'`
    case "varint":
      return `unable to make int from '${text}'`
    case "int":
    case "bigint":
    case "smallint":
    case "tinyint":
    case "counter":
      return /^-?\d+$/.test(text)
        ? wrongText(name, { _tag: "Constant", kind: "INTEGER", text }, "scylla")
        : `Invalid number format '${text}'`
    default:
      return wrongText(name, { _tag: "Constant", kind: "STRING", text }, "scylla")
  }
}

const ofInteger = (json: Json): string => {
  if (!isNumber(json)) return `Incorrect JSON value for int64 type: ${printed(json)}`
  const { number } = json
  const fraction = Math.abs(Number(number)) % 1
  return fraction === 0
    ? `Value ${number} out of range`
    : `Incorrect JSON floating-point value for int64 type: ${number} (it should not contain fractional part ${fraction})`
}

const scalarReason = (name: CqlType.ScalarName, json: Json): string => {
  if (typeof json === "string" && name !== "boolean") return ofText(name, json)
  const known = OF_TEXT[name]
  if (known !== undefined) return `${known} must be represented as string in JSON, instead got '${printed(json)}'`
  switch (name) {
    case "boolean":
      return `Invalid JSON object ${printed(json)}`
    case "timestamp":
      return "timestamp_type must be represented as string or integer"
    case "double":
    case "float":
      return "JSON value must be represented as double or string"
    case "decimal":
      return `${printed(json)} must be represented as numeric or string in JSON`
    case "varint":
      return `unable to make int from '${printed(json)}'`
    default:
      return ofInteger(json)
  }
}

/** The addresses of the server's own code stand behind it. */
const NO_TEXT = "JSON assert failed on condition 'IsString()', at: <addresses>"

/** The error for a value; what no answer is known of is refused. */
export const wrongJsonOfScylla = (type: CqlType.CqlType, json: Json, name: string): Error => {
  const marshaling = (reason: string): Error => internal(`marshaling error: ${reason}`)
  switch (type._tag) {
    case "Scalar":
      if ((type.name === "text" || type.name === "ascii") && typeof json !== "string") return internal(NO_TEXT)
      if (type.name === "blob" && typeof json === "string" && json.startsWith("0x") && json.length % 2 === 1) {
        return internal("An hex string representing bytes must have an even length")
      }
      return marshaling(scalarReason(type.name, json))
    case "List":
    case "Set":
      return marshaling(`${type._tag.toLowerCase()}_type must be represented as JSON Array`)
    case "Map":
      return marshaling("map_type must be represented as JSON Object")
    case "Tuple":
      return marshaling(
        Array.isArray(json)
          ? `Too many values (${json.length}) for tuple with size ${type.elements.length}`
          : "tuple_type must be represented as JSON Array"
      )
    default:
      return unsupported(`what ScyllaDB says of this JSON value of ${name}`)
  }
}

/** Words of JSON that are cut short or go on are noticed at their second letter at the earliest. */
const WORDS = ["null", "true", "false"]

/** What is said of a text that is no JSON, and where reading it stops; `undefined` where that is not known. */
export const brokenJson = (text: string): Error | undefined => {
  const bytes = (end: number): number => Buffer.byteLength(text.slice(0, end))
  const failed = (reason: string, at: number): Error => internal(`Parsing JSON failed: ${reason} at ${bytes(at)}`)
  let at = 0
  const space = (): void => {
    while (at < text.length && " \t\n\r".includes(text[at]!)) at++
  }
  const value = (): Error | undefined => {
    space()
    const first = text[at]
    if (first === '"') {
      const found = /"(?:[^"\\]|\\[^])*"/y
      found.lastIndex = at
      if (!found.test(text)) return failed("Missing a closing quotation mark in string.", text.length)
      at = found.lastIndex
      return undefined
    }
    if (first === "[" || first === "{") return sequence(first === "{", first === "{" ? "}" : "]")
    const word = WORDS.find((each) => each[0] === first)
    if (word !== undefined) {
      const start = at++
      while (at - start < word.length) {
        if (text[at] !== word[at - start]) return failed("Invalid value.", at)
        at++
      }
      return undefined
    }
    const number = /-?(?:0|[1-9]\d*)(?:\.\d+)?(?:[eE][+-]?\d+)?/y
    number.lastIndex = at
    if (!number.test(text)) return failed("Invalid value.", at)
    at = number.lastIndex
    return undefined
  }
  const sequence = (isObject: boolean, end: string): Error | undefined => {
    at++
    space()
    if (text[at] === end) {
      at++
      return undefined
    }
    while (true) {
      space()
      if (isObject) {
        if (text[at] !== '"') return failed("Missing a name for object member.", at)
        const key = value()
        if (key !== undefined) return key
        space()
        if (text[at] !== ":") return failed("Missing a colon after a name of object member.", at)
        at++
      }
      const wrong = value()
      if (wrong !== undefined) return wrong
      space()
      if (text[at] === end) {
        at++
        return undefined
      }
      if (text[at] !== ",") {
        return failed(
          isObject
            ? "Missing a comma or } after an object member."
            : "Missing a comma or ] after an array element.",
          at
        )
      }
      at++
    }
  }
  space()
  if (at === text.length) return failed("The document is empty.", at)
  const wrong = value()
  if (wrong !== undefined) return wrong
  space()
  return at < text.length ? failed("The document root must not be followed by other values.", at) : undefined
}
