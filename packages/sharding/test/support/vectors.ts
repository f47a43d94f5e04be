import { readFileSync } from "node:fs"

/** Cases of a file of the committed conformance vectors. */
export const vectors = <A>(name: string): ReadonlyArray<A> =>
  (JSON.parse(
    readFileSync(new URL(`../../../../test/fixtures/vectors/${name}.json`, import.meta.url), "utf8")
  ) as { readonly cases: ReadonlyArray<A> }).cases

export const hex = (text: string): Uint8Array => Uint8Array.from(Buffer.from(text, "hex"))

export const utf8 = (text: string): Uint8Array => new TextEncoder().encode(text)
