/** JSON whose large whole numbers keep their digits, for values that are to be sent back as they came. */

/** `JSON.rawJSON` of ECMAScript 2026. */
const { rawJSON } = JSON as unknown as { readonly rawJSON?: (text: string) => object }

const keep = (_: string, value: unknown, context?: { readonly source?: string }): unknown =>
  typeof value === "number" && !Number.isSafeInteger(value) && rawJSON !== undefined &&
    /^-?\d+$/.test(context?.source ?? "")
    ? rawJSON(context!.source!)
    : value

/** Slower than `JSON.parse`: each value goes through a function. */
export const parse = (text: string): any => JSON.parse(text, keep)

/** A number as it was parsed. */
export const toNumber = (value: unknown): number =>
  typeof value === "number" ? value : Number((value as { readonly rawJSON?: string } | null)?.rawJSON)
