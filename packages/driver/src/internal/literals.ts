/** Distinct texts of one shape from which on somebody is told. */
const MANY = 100
/** Shapes that are looked at. */
const SHAPES = 500
/** Longer texts are not looked at. */
const LONGEST = 16_384

const LITERAL =
  /'(?:[^']|'')*'|\$\$[\s\S]*?\$\$|\b0x[0-9a-f]+\b|\b[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}\b|\b\d+(?:\.\d+)?(?:e[+-]?\d+)?\b/gi

/** Notices texts that differ in their values only: each of them is prepared, by every node, and pushes out others. */
export class Literals {
  private readonly shapes = new Map<string, number>()

  /** A text that was not seen before. Answers a warning the moment there are many of its kind. */
  observe(text: string): string | undefined {
    if (text.length > LONGEST) return undefined
    const shape = text.replace(LITERAL, "?")
    if (shape === text) return undefined
    const count = (this.shapes.get(shape) ?? 0) + 1
    this.shapes.delete(shape)
    if (this.shapes.size >= SHAPES) this.shapes.delete(this.shapes.keys().next().value!)
    this.shapes.set(shape, count)
    return count === MANY
      ? `${MANY} statements were prepared that differ in their values only: bind the values (${
        shape.slice(0, 200)
      }), do not ` +
        `write them into the text; for example ${text.slice(0, 200)}`
      : undefined
  }
}
