/** Texts of statements as trees, of which parts can be left out: what shrinks a statement knows no grammar. */

/** A value: its text, and its bytes where it can be bound instead. */
export interface Literal {
  readonly _tag: "Literal"
  readonly text: string
  readonly bytes: Uint8Array | null | undefined
}

/** Parts in a row, each of which may be left out. `least` have to stay; of none, nothing is written. */
export interface Many {
  readonly _tag: "Many"
  readonly before: string
  readonly parts: ReadonlyArray<Part>
  readonly separator: string
  readonly after: string
  readonly least: number
}

/** Text, a value, parts one behind the other, or parts of which some may go. */
export type Part = string | Literal | Many | ReadonlyArray<Part>

/** Parts that may go. */
export const many = (
  parts: ReadonlyArray<Part>,
  { after = "", before = "", least = 0, separator = ", " }: Partial<Omit<Many, "_tag" | "parts">> = {}
): Many => ({ _tag: "Many", before, parts, separator, after, least })

/** A part that may be left out. */
export const optional = (part: Part): Part => many([part])

/** The text; with `bound`, values become markers, and their bytes are put there. */
export const render = (part: Part, bound?: Array<Uint8Array | null>): string => {
  if (typeof part === "string") return part
  if (!("_tag" in part)) return part.map((each) => render(each, bound)).join("")
  if (part._tag === "Literal") {
    if (bound === undefined || part.bytes === undefined) return part.text
    bound.push(part.bytes)
    return "?"
  }
  if (part.parts.length === 0) return ""
  return part.before + part.parts.map((each) => render(each, bound)).join(part.separator) + part.after
}

/** All that is smaller by one part. */
export function* smaller(part: Part): Generator<Part> {
  if (typeof part === "string") return
  if ("_tag" in part) {
    if (part._tag === "Literal") return
    const { least, parts } = part
    if (parts.length > least) {
      for (let i = 0; i < parts.length; i++) yield { ...part, parts: parts.toSpliced(i, 1) }
    }
    for (const next of inOne(parts)) yield { ...part, parts: next }
    return
  }
  yield* inOne(part)
}

function* inOne(parts: ReadonlyArray<Part>): Generator<ReadonlyArray<Part>> {
  for (let i = 0; i < parts.length; i++) for (const next of smaller(parts[i]!)) yield parts.with(i, next)
}
