import type { Resolved } from "../ExecuteOptions.ts"

/** Sets of options whose frames are kept for a statement, the ones that are used now included. */
const KEPT = 8

/**
 * The constant parts of a statement's frames, by options and by layout. Those for the options that were used last lie at hand,
 * a few others are a short search away.
 */
export class Templates<A> {
  /** Whose `current` is. */
  options: Resolved | undefined = undefined
  /** By layout: a small number, the same for all dialects that lay the frame out alike. */
  current: Array<A | undefined> = []
  private others: Array<{ readonly options: Resolved; readonly templates: Array<A | undefined> }> = []

  /** From now on `current` is for these options. */
  select(options: Resolved): void {
    if (this.options === options) return
    const { others } = this
    if (this.options?.isKept === true) {
      others.unshift({ options: this.options, templates: this.current })
      if (others.length >= KEPT) others.pop()
    }
    const at = others.findIndex((other) => other.options === options)
    this.options = options
    this.current = at < 0 ? [] : others.splice(at, 1)[0]!.templates
  }

  /** The statement is another one now. */
  clear(): void {
    this.options = undefined
    this.current = []
    this.others = []
  }
}
