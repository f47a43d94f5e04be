import { withoutLiterals } from "./lexis.ts"

/** Distinct texts of one shape from which on somebody is told. */
const MANY = 100
/** Shapes that are looked at. */
const SHAPES = 500
/** Longer texts are not looked at. */
const LONGEST = 16_384

/** A number for a text: which of them were seen, without keeping them. */
const hashOf = (text: string): number => {
  let hash = 0x811c9dc5
  for (let i = 0; i < text.length; i++) hash = Math.imul(hash ^ text.charCodeAt(i), 0x01000193)
  return hash
}

/** Notices texts that differ in their values only: each of them is prepared, by every node, and pushes out others. */
export class Literals {
  /** Of each shape the texts, by their hashes, until there are many. */
  private readonly shapes = new Map<string, Set<number>>()

  /** A text that was not seen before. Answers a warning the moment there are many of its kind. */
  observe(text: string): string | undefined {
    if (text.length > LONGEST) return undefined
    const shape = withoutLiterals(text)
    if (shape === text) return undefined
    const texts = this.shapes.get(shape) ?? new Set()
    this.shapes.delete(shape)
    if (this.shapes.size >= SHAPES) this.shapes.delete(this.shapes.keys().next().value!)
    this.shapes.set(shape, texts)
    const hash = hashOf(text)
    // It was known, and forgotten.
    if (texts.has(hash) || texts.size >= MANY) return undefined
    texts.add(hash)
    return texts.size === MANY
      ? `${MANY} statements were prepared that differ in their values only: bind the values (${
        shape.slice(0, 200)
      }), do not ` +
        `write them into the text; for example ${text.slice(0, 200)}`
      : undefined
  }
}
