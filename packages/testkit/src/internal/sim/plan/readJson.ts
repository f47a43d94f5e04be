/** A text of JSON as a value of a type, and what each product says of one that is none. */
import type { CqlType } from "@effect-scylla/protocol/CqlType"
import { Buffer } from "node:buffer"
import { unsupported } from "../failure.ts"
import type { Product } from "../parse/product.ts"
import { fromJson, type Json, parseJson, WrongJson } from "./json.ts"
import { notJson, undecodable, wrongJson, wrongOfFunction } from "./jsonErrors.ts"
import { brokenJson, wrongJsonOfScylla } from "./jsonErrorsScylla.ts"

/** JSON that is part of a text, as a value for the column called `name`. */
export const valueOfJson = (
  type: CqlType,
  json: Json,
  name: string,
  product: Product,
  wrong = wrongJson
): Uint8Array | null => {
  try {
    return fromJson(type, json, name, product)
  } catch (thrown) {
    if (!(thrown instanceof WrongJson)) throw thrown
    throw product === "cassandra"
      ? wrong(thrown.type, thrown.json, name)
      : wrongJsonOfScylla(thrown.type, thrown.json, name)
  }
}

/** What a text holds; `broken` says what is wrong with one that is no JSON, where nothing more exact is known. */
export const parsed = (text: string, product: Product, broken?: (text: string) => Error): Json => {
  const json = parseJson(text)
  if (json !== undefined) return json
  throw (product === "scylla" ? brokenJson(text) : undecodable(text)) ?? broken?.(text) ??
    unsupported("what a server says of text that is no JSON")
}

export const readJson = (type: CqlType, text: Uint8Array, name: string, product: Product): Uint8Array | null =>
  valueOfJson(
    type,
    parsed(Buffer.from(text).toString("utf8"), product, product === "cassandra" ? notJson : undefined),
    name,
    product,
    wrongOfFunction
  )
