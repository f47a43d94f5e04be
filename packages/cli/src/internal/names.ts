/** Names of the generated code. */

/** What a generated module uses itself. */
const RESERVED: ReadonlyArray<string> = ["CqlTypes", "Schema"]

/** `order_items` as `OrderItems`: words are what stands between characters that names of TypeScript cannot have. */
export const pascal = (name: string): string => {
  const words = name.split(/[^\p{L}\p{N}]+/u).filter((word) => word !== "")
  const joined = words.map((word) => word.slice(0, 1).toUpperCase() + word.slice(1)).join("")
  return /^\p{L}/u.test(joined) ? joined : `_${joined}`
}

/** Gives out names, each once: of one that is taken there is another with an underscore behind it. */
export class Names {
  private readonly taken = new Set(RESERVED)

  give(wished: string): string {
    let name = wished
    while (this.taken.has(name)) name += "_"
    this.taken.add(name)
    return name
  }
}

/** A property as it stands in an object literal. `__proto__` would set the prototype otherwise. */
export const property = (name: string): string =>
  name === "__proto__" ? '["__proto__"]' : /^[A-Za-z_$][\w$]*$/.test(name) ? name : JSON.stringify(name)

/** A text within a comment, on one line. */
export const inComment = (text: string): string => text.replaceAll("*/", "*\\/").replaceAll(/\s+/g, " ").trim()
